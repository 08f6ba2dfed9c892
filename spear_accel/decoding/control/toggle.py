"""Whether to draft at all, where a gate decides how far a draft goes (vLLM calls this dynamic speculation).

Compares rounds with and without a draft as they are measured; until both are, what tuning expects. Knows no model.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from statistics import mean

from spear_accel.decoding.control.costs import DraftCosts
from spear_accel.decoding.control.timing import ReviewSchedule, RoundTimes, rows_bucket
from spear_accel.decoding.stats import RowOutcome

__all__ = ["SpeculationToggle"]

_KEPT = 24
"""Latest drafted rounds whose committed tokens count."""


class SpeculationToggle:
    """Drafts or does not, whichever commits more tokens per second with so many rows."""

    def __init__(self, costs: DraftCosts) -> None:
        """costs: what counts until enough rounds are measured."""
        self._costs = costs
        self._times: RoundTimes[bool] = RoundTimes()
        self._tokens: dict[int, deque[float]] = defaultdict(lambda: deque(maxlen=_KEPT))
        # A probe takes two rounds: the first of them pays for the change.
        self._schedule = ReviewSchedule(review_every=4, probe_every=60, probe_rounds=2)
        self._drafts: dict[int, bool] = {}

    def drafts(self, rows: int) -> bool:
        """Begin a round: whether it drafts."""
        review, probe = self._schedule.next(rows)
        if review:
            self._drafts[rows_bucket(rows)] = self._pays(rows)
        return self._drafts[rows_bucket(rows)] != probe

    def observe(self, drafted: bool, outcomes: Sequence[RowOutcome], seconds: float) -> None:
        """Learn from a round."""
        rows = len(outcomes)
        self._times.add(rows, drafted, seconds)
        if drafted:
            self._tokens[rows_bucket(rows)].append(1.0 + sum(row.accepted for row in outcomes) / rows)

    def _pays(self, rows: int) -> bool:
        plain, drafted = self._times.median(rows, False), self._times.median(rows, True)
        if plain is None or drafted is None:
            return self._costs.speedup(rows)[0] > 1.0
        return mean(self._tokens[rows_bucket(rows)]) / drafted > 1.0 / plain
