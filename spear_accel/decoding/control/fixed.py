"""The same draft in every round."""

from __future__ import annotations

from collections.abc import Sequence

from spear_accel.decoding.control.base import DraftPlan
from spear_accel.decoding.stats import RowOutcome
from spear_accel.decoding.tree import TreeShape

__all__ = ["FixedController"]


class FixedController:
    """See `SpeculationController` for the methods."""

    def __init__(self, shape: TreeShape) -> None:
        self.max_nodes = shape.nodes
        self._plan = DraftPlan(shape)

    def plan(self, rows: int) -> DraftPlan:
        return self._plan

    def observe(self, plan: DraftPlan, outcomes: Sequence[RowOutcome], seconds: float) -> None:
        """Nothing to learn."""
