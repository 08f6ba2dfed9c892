"""Which utterances are live in which row: at most `batch_size`, refilled at once from wherever they come.

Knows lengths, seeds and stop rules; knows neither model nor tensors.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from spear_accel.decoding.guards import LoopGuard, LoopWatch
from spear_accel.decoding.noise import retry_seed
from spear_accel.decoding.requests import Utterance
from spear_accel.decoding.stats import DecodeStats


@dataclass(eq=False)
class Live:
    """An utterance being decoded: the tokens so far and what they cost."""

    utterance: Utterance
    attempt: int
    watch: LoopWatch
    tokens: list[int] = field(default_factory=list)
    reason: str | None = None
    error: str | None = None
    calls: int = 0
    drafted: int = 0
    accepted: int = 0
    committed: int = 0
    given: int = 0
    """How many of the tokens were handed over while it grew, and cannot be taken back."""
    started: float = field(default_factory=time.perf_counter)
    seconds: float = 0.0

    @property
    def seed(self) -> int:
        """The seed of this attempt."""
        return retry_seed(self.utterance.seed, self.attempt)

    def extend(self, tokens: Iterable[int], eos_id: int) -> int:
        """Commit tokens until one of them stops the utterance; returns how many were committed."""
        count = 0
        if self.reason is not None:
            return 0
        for token in tokens:
            count += 1
            self.reason = self._push(token, eos_id)
            if self.reason is not None:
                self.seconds = time.perf_counter() - self.started
                break
        self.committed += count
        return count

    def fail(self, message: str) -> None:
        """Stop here: what comes next cannot be trusted."""
        self.reason, self.error = "error", message
        self.seconds = time.perf_counter() - self.started

    def _push(self, token: int, eos_id: int) -> str | None:
        if token == eos_id:
            return "eos"
        self.tokens.append(token)
        if self.watch.push(self.tokens):
            return "loop"
        return "max_length" if len(self.tokens) >= self.utterance.maximum else None

    @property
    def stats(self) -> DecodeStats:
        return DecodeStats(self.calls, self.calls, self.drafted, self.accepted, self.committed, self.seconds)


class Scheduler:
    """Live rows, and the utterances that are to be tried again; those that have not begun wait where they come from."""

    def __init__(self, source: Callable[[], Utterance | None], batch_size: int, loop: LoopGuard, retries: int) -> None:
        """source: the next utterance, None where none waits at present; asked whenever a row is free."""
        self.rows: list[Live] = []
        self.batch_size = batch_size
        self._source, self._loop, self._retries = source, loop, retries
        self._again: deque[tuple[Utterance, int]] = deque()

    def find(self, index: int) -> Live | None:
        """Utterance `index` where it is live."""
        return next((row for row in self.rows if row.utterance.index == index), None)

    def admit(self) -> list[Live]:
        """Fill the free rows; returns the new ones, which are the last of `rows`."""
        old = len(self.rows)
        while len(self.rows) < self.batch_size and (waiting := self._next()) is not None:
            self.rows.append(Live(*waiting, LoopWatch(self._loop)))
        return self.rows[old:]

    def retire(self) -> tuple[list[int], list[Live]]:
        """Take stopped rows out; a loop is queued again while tries are left, unless tokens of it were handed over.

        Returns which old row each new row is (the last rows fill the gaps, so few move), and the rows that have
        stopped for good.
        """
        stopped = [row for row in self.rows if row.reason is not None]
        again = [row for row in stopped if row.reason == "loop" and not row.given and row.attempt < self._retries]
        self._again.extendleft((row.utterance, row.attempt + 1) for row in again)
        order = fill_gaps([row.reason is None for row in self.rows])
        self.rows = [self.rows[old] for old in order]
        return order, [row for row in stopped if row not in again]

    def _next(self) -> tuple[Utterance, int] | None:
        if self._again:
            return self._again.popleft()
        utterance = self._source()
        return None if utterance is None else (utterance, 0)


def longest_first(utterances: Sequence[Utterance]) -> list[Utterance]:
    """By expected length, so that no slot stands empty for long while the last ones are decoded."""
    return sorted(utterances, key=lambda utterance: (-utterance.expected, utterance.index))


def fill_gaps(stays: Sequence[bool]) -> list[int]:
    """Old index of each row that stays, with gaps filled from the end so that the fewest rows move."""
    count = sum(stays)
    spare = [row for row in range(count, len(stays)) if stays[row]]
    return [row if stays[row] else spare.pop() for row in range(count)]
