"""Adaptive draft exit: a row drafts until its draft is unsure (Draft & Verify, Zhang et al. 2023, arXiv 2309.08168).

The token whose draft probability falls below a threshold is kept, and nothing is drafted behind it: to drop a token
after it was drawn would bias the output. The threshold follows acceptance. Works with every drafter that draws one
token after another; knows no head.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from spear_accel.decoding.control.base import DraftPlan
from spear_accel.decoding.stats import RowOutcome
from spear_accel.decoding.tree import chain

__all__ = ["MAX_DEPTH", "ConfidenceExitController", "ConfidenceGate", "ExitThreshold"]

MAX_DEPTH = 8
"""K of the paper: the longest draft where the options name none."""


class ExitThreshold:
    """The published rule: theta rises while acceptance is below its target and falls while drafts stop short of K."""

    def __init__(self, greedy: bool) -> None:
        self.value = 0.8 if greedy else 0.5
        self._acceptance: float | None = None

    def observe(self, accepted: int, drafted: int, whole: bool) -> None:
        """Learn from a round. whole: whether every row drafted as far as it was allowed to."""
        if not drafted:
            return
        rate = accepted / drafted
        self._acceptance = rate if self._acceptance is None else 0.5 * self._acceptance + 0.5 * rate
        change = 0.01 if self._acceptance < 0.9 else 0.0 if whole else -0.01
        self.value = min(1.0, max(0.0, 0.9 * self.value + 0.1 * (self.value + change)))


@dataclass(frozen=True)
class ConfidenceGate:
    """The `ExitGate` of one round."""

    threshold: float

    def stops(self, log_q: Tensor, token: Tensor) -> Tensor:
        return log_q.gather(-1, token[..., None])[..., 0].exp() < self.threshold


class ConfidenceExitController:
    """See `SpeculationController` for the methods."""

    def __init__(self, longest: int, greedy: bool) -> None:
        """longest: K, the deepest draft; greedy: whether most rows are decoded at temperature 0."""
        self.max_nodes = longest
        self._shape, self._threshold = chain(longest), ExitThreshold(greedy)

    def plan(self, rows: int) -> DraftPlan:
        return DraftPlan(self._shape, ConfidenceGate(self._threshold.value))

    def observe(self, plan: DraftPlan, outcomes: Sequence[RowOutcome], seconds: float) -> None:
        drafted = sum(row.drafted for row in outcomes)
        whole = all(row.drafted == plan.shape.nodes for row in outcomes)
        self._threshold.observe(sum(len(row.path) for row in outcomes), drafted, whole)
