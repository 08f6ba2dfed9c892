"""Round times as a job measures them, and when a controller reviews its choice or probes another.

Numbers of rows share measurements in buckets. Knows neither shapes nor methods: what was timed is any key.
"""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from statistics import median
from typing import Generic, TypeVar

__all__ = ["ReviewSchedule", "RoundTimes", "rows_bucket"]

_KEPT = 9
"""Latest rounds of a key that count."""
_ENOUGH = 2
"""Rounds of a key before its measured time is used."""
_FIRST_PROBE = 10
"""Round of the first probe."""

K = TypeVar("K", bound=Hashable)


def rows_bucket(rows: int) -> int:
    """Number the buckets of row counts that share measurements: 1, 2, 3-4, 5-8, 9-16, ..."""
    return (rows - 1).bit_length()


class RoundTimes(Generic[K]):
    """The latest times of rounds, by bucket of rows and by key, as if every round had the bucket's largest number of
    rows: inside a bucket times are taken to grow with the square root of the rows."""

    def __init__(self) -> None:
        self._times: dict[tuple[int, K], deque[float]] = defaultdict(lambda: deque(maxlen=_KEPT))

    def add(self, rows: int, key: K, seconds: float) -> None:
        """Note the time of one round."""
        bucket = rows_bucket(rows)
        self._times[bucket, key].append(seconds / math.sqrt(rows / (1 << bucket)))

    def count(self, rows: int, key: K) -> int:
        """How many rounds are noted, at most the latest nine."""
        return len(self._times.get((rows_bucket(rows), key), ()))

    def known(self, rows: int, key: K) -> bool:
        """Whether the key was timed often enough."""
        return self.count(rows, key) >= _ENOUGH

    def median(self, rows: int, key: K) -> float | None:
        """The median time; None where the key was not timed often enough."""
        return median(self._times[rows_bucket(rows), key]) if self.known(rows, key) else None

    def unit(self, rows: int, expected: Callable[[K], float]) -> float | None:
        """What one unit of `expected` time takes, by the key that was timed most; None where none was."""
        bucket = rows_bucket(rows)
        ratios = [
            (len(times), median(times) / expected(key))
            for (other, key), times in self._times.items()
            if other == bucket and len(times) >= _ENOUGH
        ]
        return max(ratios)[1] if ratios else None


@dataclass
class ReviewSchedule:
    """Counts the rounds of each bucket of rows and says when to review a choice and when to probe another."""

    review_every: int
    """Rounds for which a choice stands."""
    probe_every: int
    """Rounds between the beginnings of two probes; the first begins at round 10."""
    probe_rounds: int = 1
    """Rounds that a probe takes."""
    _rounds: dict[int, int] = field(default_factory=lambda: defaultdict(int), init=False)

    def next(self, rows: int) -> tuple[bool, bool]:
        """Begin a round. Returns whether it starts with a review, and whether it is a probe."""
        bucket = rows_bucket(rows)
        number = self._rounds[bucket]
        self._rounds[bucket] += 1
        probe = 0 <= number % self.probe_every - _FIRST_PROBE < self.probe_rounds
        return number % self.review_every == 0, probe
