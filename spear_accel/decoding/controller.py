"""How many tokens to draft: the length that promises most committed tokens per second, 0 included.

Promise of length n with B live rows: (1 + sum of cumulative acceptance up to n) / round time(B, n). Both are estimated
from measurements: what a voice's tuning says at first, then what this job itself sees. Knows no model and no tokens.
"""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Protocol

from spear_accel.decoding.stats import Judged

__all__ = ["AdaptiveLength", "DraftCosts", "FixedLength", "LengthPolicy"]

_MEMORY = 0.97
"""Share of the acceptance counts that a round leaves in place."""
_PRIOR_ROUNDS = 24.0
"""Weight of the tuned acceptance, in rounds of one row."""
_PROBE_EVERY = 40
"""Rounds between looks at a neighbouring length."""
_ENOUGH = 3
"""Measurements of a length before they take the place of the tuned time."""


@dataclass(frozen=True)
class DraftCosts:
    """What tuning measured of one method.

    acceptance: P(draft token i is accepted | those before it were), i = 1, 2, ...
    rounds: by number of live rows, the time of a round with draft length 0, 1, 2, ... in units of an autoregressive
    round of as many rows.
    """

    acceptance: tuple[float, ...] = (0.6, 0.6, 0.6, 0.6)
    rounds: Mapping[int, tuple[float, ...]] = field(default_factory=lambda: {1: (1.0, 1.3, 1.45, 1.6, 1.75)})

    @property
    def longest(self) -> int:
        """Longest draft that was measured."""
        return min(len(times) for times in self.rounds.values()) - 1

    def round_time(self, live: int, length: int) -> float:
        """Of the nearest measured number of rows, by ratio."""
        nearest = min(self.rounds, key=lambda rows: max(rows / live, live / rows))
        return self.rounds[nearest][length]

    def tokens(self, length: int) -> float:
        """Committed tokens a round with drafts of `length`."""
        return expected_tokens(self.acceptance, length)

    def speedup(self, live: int) -> tuple[float, int]:
        """Best promise over autoregressive decoding, and the draft length that makes it."""
        return max((self.tokens(n) / self.round_time(live, n), n) for n in range(self.longest + 1))


def expected_tokens(acceptance: Sequence[float], length: int) -> float:
    """1 + sum over i <= length of the product of the first i conditional acceptances."""
    total = chance = 1.0
    for number in range(length):
        chance *= acceptance[min(number, len(acceptance) - 1)]
        total += chance
    return total


class LengthPolicy(Protocol):
    """Chooses the draft length of every round."""

    longest: int

    def length(self, live: int) -> int:
        """For a round with `live` rows."""

    def observe(self, length: int, rows: Sequence[Judged], seconds: float) -> None:
        """A round with drafts of `length` is over: what became of each live row's, and the time of the round."""


class FixedLength:
    """Always the same."""

    def __init__(self, length: int) -> None:
        self.longest = length

    def length(self, live: int) -> int:
        return self.longest

    def observe(self, length: int, rows: Sequence[Judged], seconds: float) -> None:
        """Nothing to learn."""


class AdaptiveLength:
    """Follows measured acceptance and round times; see the module."""

    def __init__(self, costs: DraftCosts, longest: int) -> None:
        """longest: bound from the drafter."""
        self.longest = min(longest, costs.longest)
        self._costs = costs
        prior = [costs.acceptance[min(i, len(costs.acceptance) - 1)] for i in range(self.longest)]
        self._passed = [share * _PRIOR_ROUNDS for share in prior]
        self._reached = [_PRIOR_ROUNDS] * self.longest
        self._times: dict[tuple[int, int], deque[float]] = defaultdict(lambda: deque(maxlen=9))
        self._rounds: dict[int, int] = defaultdict(int)

    def length(self, live: int) -> int:
        best = max(range(self.longest + 1), key=lambda n: self._promise(live, n))
        group = _group(live)
        self._rounds[group] += 1
        if self._rounds[group] % _PROBE_EVERY:
            return best
        near = [n for n in (0, best - 1, best + 1) if 0 <= n <= self.longest and n != best]
        return min(near, key=lambda n: len(self._times[group, n]), default=best)

    def observe(self, length: int, rows: Sequence[Judged], seconds: float) -> None:
        live = len(rows)
        self._times[_group(live), length].append(seconds / _scale(live))
        for number in range(length):
            tried = sum(row.offered > number and row.accepted >= number for row in rows)
            passed = sum(row.accepted > number for row in rows)
            self._reached[number] = self._reached[number] * _MEMORY + tried
            self._passed[number] = self._passed[number] * _MEMORY + passed

    def _promise(self, live: int, length: int) -> float:
        acceptance = [passed / reached for passed, reached in zip(self._passed, self._reached, strict=True)]
        return (expected_tokens(acceptance, length) if length else 1.0) / self._round_time(live, length)

    def _round_time(self, live: int, length: int) -> float:
        """Tuned time, or what this job measured, in the unit of whichever length both know."""
        group = _group(live)
        tuned = self._costs.round_time(live, length)
        measured = self._times.get((group, length), ())
        if len(measured) >= _ENOUGH:
            return median(measured)
        known = [
            (len(times), median(times) / self._costs.round_time(live, n))
            for (rows, n), times in self._times.items()
            if rows == group and len(times) >= _ENOUGH
        ]
        return tuned * max(known)[1] if known else tuned


def _group(live: int) -> int:
    """Numbers of rows that share measurements: 1, 2, 3-4, 5-8, 9-16, ..."""
    return (live - 1).bit_length()


def _scale(live: int) -> float:
    """Rounds of a group's different sizes are compared as if of its largest; their times grow a little slower."""
    return math.sqrt(live / (1 << _group(live)))
