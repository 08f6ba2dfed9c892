"""How often drafts are accepted: one estimator, from a prior and from the outcomes of rounds, which forgets.

Two views: by depth and rank of a candidate, for shapes that are fixed before the draft is made, and by the gap between
the two best noisy scores, known while the draft is made. Knows numbers only.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise

from spear_accel.decoding.stats import RowOutcome
from spear_accel.decoding.tree import Acceptance

__all__ = ["AcceptanceEstimator", "candidate_counts"]

_RANK_WEIGHT, _RANK_MEMORY = 24.0, 0.97
"""By rank: weight of the prior in draws, and the share of the counts that each round leaves in place."""
_GAP_WEIGHT, _GAP_DRAWS = 30.0, 400.0
"""By gap: weight of the prior in draws, and the number of draws at which the counts are halved."""
_EDGES = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
"""Gaps, in nats, between which acceptance is taken to be alike."""
_FIRST, _STEEPNESS, _SECOND = 0.8, 1.5, 0.6
"""Priors by gap (docs/candidates.md): acceptance of a first candidate that is not drawn yet, the slope of the logistic
curve over the gap of one that is, and acceptance of the second candidate where the first is rejected."""


class AcceptanceEstimator:
    """Estimates P(a candidate is accepted | the accepted path got to its parent)."""

    def __init__(self, prior: Acceptance = ()) -> None:
        """prior: acceptance by depth and rank, for `by_rank`."""
        self._ranks = [[_Frequency(chance, _RANK_WEIGHT) for chance in depth] for depth in prior]
        middles = (0.0, *_EDGES, 2 * _EDGES[-1])
        gaps = [(low + high) / 2 for low, high in pairwise(middles)]
        self._first = [_Frequency(1.0 / (1.0 + math.exp(-_STEEPNESS * gap)), _GAP_WEIGHT) for gap in gaps]
        self._second = [_Frequency(_SECOND, _GAP_WEIGHT) for _ in gaps]
        self._undrawn = _Frequency(_FIRST, _GAP_WEIGHT)

    @property
    def by_rank(self) -> Acceptance:
        """Acceptance by depth and rank."""
        return tuple(tuple(rank.value for rank in depth) for depth in self._ranks)

    @property
    def undrawn(self) -> float:
        """Acceptance of a first candidate whose scores are not known yet."""
        return self._undrawn.value

    def by_gap(self, gap: float) -> tuple[float, float]:
        """Acceptance of the first and of the second candidate, whose noisy scores are `gap` nats apart."""
        place = bisect_right(_EDGES, gap)
        first = self._first[place].value
        return first, (1.0 - first) * self._second[place].value

    def observe_ranks(self, outcomes: Sequence[RowOutcome]) -> None:
        """Learn from the outcomes of one round, by depth and rank."""
        for depth, rank, accepted, tried in candidate_counts(outcomes):
            if depth < len(self._ranks) and rank < len(self._ranks[depth]):
                self._ranks[depth][rank].add(accepted, tried, _RANK_MEMORY)

    def observe_gap(self, gap: float, rank: int, width: int) -> None:
        """Learn from one draw of the target behind a node whose candidates were `gap` nats apart.

        Args:
            gap: In nats.
            rank: Of the candidate that was accepted, 0 where none of the offered ones was.
            width: How many candidates were offered.
        """
        place = bisect_right(_EDGES, gap)
        self._first[place].count(rank == 1)
        self._undrawn.count(rank == 1)
        if rank != 1 and width > 1:
            self._second[place].count(rank == 2)


class _Frequency:
    """A probability that starts from a prior and forgets."""

    def __init__(self, prior: float, weight: float) -> None:
        """weight: of the prior, in draws."""
        self._accepted, self._tried = prior * weight, weight

    @property
    def value(self) -> float:
        return self._accepted / self._tried

    def add(self, accepted: int, tried: int, memory: float) -> None:
        """Count draws; `memory`: share of the old counts that stays."""
        self._accepted = self._accepted * memory + accepted
        self._tried = self._tried * memory + tried

    def count(self, accepted: bool) -> None:
        """Count one draw."""
        self.add(accepted, 1, 0.5 if self._tried > _GAP_DRAWS else 1.0)


def candidate_counts(outcomes: Sequence[RowOutcome]) -> Iterator[tuple[int, int, int, int]]:
    """Count what one round says of every candidate.

    Yields:
        Depth and rank, both from 0, how often the candidate was accepted, and how often it was tried: offered behind a
        node that the accepted path got to.
    """
    for depth in range(max((len(row.steps) for row in outcomes), default=0)):
        steps = [row.steps[depth] for row in outcomes if len(row.steps) > depth]
        for rank in range(max(width for width, _ in steps)):
            offered = [accepted for width, accepted in steps if width > rank]
            yield depth, rank, sum(accepted == rank + 1 for accepted in offered), len(offered)
