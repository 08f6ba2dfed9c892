"""The shape that is expected to commit most tokens per second, no draft included, chosen before each draft is made.

Acceptance and round times start from what tuning measured and follow what the rounds show. Knows no model.
"""

from __future__ import annotations

from collections.abc import Sequence

from spear_accel.decoding.control.acceptance import AcceptanceEstimator
from spear_accel.decoding.control.base import DraftPlan
from spear_accel.decoding.control.costs import DraftCosts, candidate_shapes, expected_tokens
from spear_accel.decoding.control.timing import ReviewSchedule, RoundTimes, rows_bucket
from spear_accel.decoding.stats import RowOutcome
from spear_accel.decoding.tree import TreeShape

__all__ = ["AdaptiveController"]


class AdaptiveController:
    """See `SpeculationController` for the methods."""

    def __init__(self, costs: DraftCosts, longest: int, candidates: int | None = None) -> None:
        """Consider all shapes of a method.

        Args:
            costs: What tuning measured.
            longest: Depth of the deepest draft that the drafter makes.
            candidates: Most candidates at a depth; None takes as many as were measured.
        """
        longest = min(longest, costs.longest)
        self._costs, self._shapes = costs, candidate_shapes(costs, longest, candidates)
        self.max_nodes = max(shape.nodes for shape in self._shapes)
        prior = (costs.acceptance[min(depth, len(costs.acceptance) - 1)] for depth in range(longest))
        self._acceptance = AcceptanceEstimator(tuple(prior))
        self._times: RoundTimes[TreeShape] = RoundTimes()
        self._schedule = ReviewSchedule(review_every=8, probe_every=40)
        self._chosen: dict[int, TreeShape] = {}

    def plan(self, rows: int) -> DraftPlan:
        review, probe = self._schedule.next(rows)
        if review:
            self._chosen[rows_bucket(rows)] = self._best(rows)
        best = self._chosen[rows_bucket(rows)]
        return DraftPlan(self._probe(rows, best) if probe else best)

    def observe(self, plan: DraftPlan, outcomes: Sequence[RowOutcome], seconds: float) -> None:
        self._times.add(len(outcomes), plan.shape, seconds)
        self._acceptance.observe_ranks(outcomes)

    def _best(self, rows: int) -> TreeShape:
        acceptance = self._acceptance.by_rank
        return max(self._shapes, key=lambda shape: expected_tokens(acceptance, shape) / self._round_time(rows, shape))

    def _probe(self, rows: int, best: TreeShape) -> TreeShape:
        """Another shape to time: no draft, whose time decides whether drafting pays at all, or the least timed
        neighbour of the best."""
        none = self._shapes[0]
        if best.nodes and not self._times.known(rows, none):
            return none
        near = [shape for shape in self._shapes if shape != best and _neighbours(shape, best)]
        return min(near, key=lambda shape: self._times.count(rows, shape), default=best)

    def _round_time(self, rows: int, shape: TreeShape) -> float:
        """The measured time, or the tuned one in the unit of the shape that was timed most."""
        measured = self._times.median(rows, shape)
        if measured is not None:
            return measured
        unit = self._times.unit(rows, lambda other: self._costs.round_time(rows, other))
        tuned = self._costs.round_time(rows, shape)
        return tuned if unit is None else tuned * unit


def _neighbours(shape: TreeShape, best: TreeShape) -> bool:
    """Whether `shape` is no draft, or differs from the best by at most one depth."""
    return not shape.nodes or abs(shape.depth - best.depth) <= 1
