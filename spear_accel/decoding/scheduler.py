"""Which utterances are live in which row: at most `batch_size`, refilled at once.

Knows lengths, seeds and stop rules; knows neither model nor tensors.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from spear_accel.decoding.guards import LoopGuard, LoopWatch
from spear_accel.decoding.noise import retry_seed
from spear_accel.decoding.requests import Utterance
from spear_accel.decoding.stats import DecodeStats


@dataclass
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
    """Waiting utterances, which are admitted in the order given, live rows and finished results."""

    def __init__(self, utterances: Sequence[Utterance], batch_size: int, loop: LoopGuard, retries: int) -> None:
        self.waiting = deque((utterance, 0) for utterance in utterances)
        self.rows: list[Live] = []
        self.finished: dict[int, Live] = {}
        self.batch_size, self.loop, self.retries = batch_size, loop, retries

    def find(self, index: int) -> Live | None:
        """Utterance `index` where it is live or finished; None while it waits."""
        return self.finished.get(index) or next((row for row in self.rows if row.utterance.index == index), None)

    def admit(self) -> list[Live]:
        """Fill the free rows from the queue; returns the new ones, which are the last of `rows`."""
        count = min(self.batch_size - len(self.rows), len(self.waiting))
        new = [Live(*self.waiting.popleft(), LoopWatch(self.loop)) for _ in range(count)]
        self.rows += new
        return new

    def retire(self) -> list[int] | None:
        """Take stopped rows out; a loop is queued again while tries are left, unless tokens of it were handed over.

        Returns which old row each new row is (the last rows fill the gaps, so few move), None if none stopped.
        """
        if all(row.reason is None for row in self.rows):
            return None
        for row in self.rows:
            if row.reason == "loop" and not row.given and row.attempt < self.retries:
                self.waiting.appendleft((row.utterance, row.attempt + 1))
            elif row.reason is not None:
                self.finished[row.utterance.index] = row
        order = fill_gaps([row.reason is None for row in self.rows])
        self.rows = [self.rows[old] for old in order]
        return order


def longest_first(utterances: Sequence[Utterance]) -> list[Utterance]:
    """By expected length, so that no slot stands empty for long while the last ones are decoded."""
    return sorted(utterances, key=lambda utterance: (-utterance.expected, utterance.index))


def fill_gaps(stays: Sequence[bool]) -> list[int]:
    """Old index of each row that stays, with gaps filled from the end so that the fewest rows move."""
    count = sum(stays)
    spare = [row for row in range(count, len(stays)) if stays[row]]
    return [row if stays[row] else spare.pop() for row in range(count)]
