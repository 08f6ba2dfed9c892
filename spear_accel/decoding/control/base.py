"""How far to draft: the contract between a controller, which plans every round, and the loop, which reports back.

Knows shapes and counts; knows no model, no head and no token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

from torch import Tensor

from spear_accel.decoding.stats import RowOutcome
from spear_accel.decoding.tree import TreeShape

__all__ = ["DraftGate", "DraftPlan", "ExitGate", "SpeculationController", "TreeGate"]


@runtime_checkable
class TreeGate(Protocol):
    """Decides, depth by depth and for all rows together, how a draft goes on: a chain, a comb or a tree."""

    goes_on: bool
    """Whether the draft is to have another depth."""

    def decide(self, nodes: list[int], gaps: list[list[float]], branching: bool) -> list[tuple[int, int]]:
        """Decide what follows the nodes of one depth.

        Args:
            nodes: The nodes that were read; -1 is the root.
            gaps: For each node and each row, by how much the best noisy score exceeds the second best, in nats.
            branching: Whether the draft can go on behind more than one node of the next depth.

        Returns:
            For each node, how many candidates it offers (1 or 2), and behind how many of them the draft goes on. The
            offered candidates become the next nodes of the draft, in this order.
        """


@runtime_checkable
class ExitGate(Protocol):
    """Decides after each token of a chain, for every row by itself, whether the row drafts on."""

    def stops(self, log_q: Tensor, token: Tensor) -> Tensor:
        """Return bool [B, 1], true where nothing is to be drafted behind `token`.

        Args:
            log_q: [B, 1, V], log-probabilities of the draft.
            token: int64 [B, 1], the token drawn from them.
        """


DraftGate: TypeAlias = TreeGate | ExitGate
"""Asked while a draft is made, by drafters that draw one token after another."""


@dataclass(frozen=True)
class DraftPlan:
    """The draft of one round."""

    shape: TreeShape
    """What is drafted; with a gate, the deepest draft that the gate may allow. No nodes: the round drafts nothing."""
    gate: DraftGate | None = None


class SpeculationController(Protocol):
    """Plans the draft of every round and learns from what becomes of it.

    A controller lives as long as its engine: rows come and go, and jobs follow one another.
    """

    max_nodes: int
    """Of any draft that it plans; the engine has room for `LONGEST_BLOCK` - 1 nodes."""

    def plan(self, rows: int) -> DraftPlan:
        """Plan a round of `rows` live rows."""

    def observe(self, plan: DraftPlan, outcomes: Sequence[RowOutcome], seconds: float) -> None:
        """Learn from a round that followed `plan`: the outcome of every row, and how long the round took."""
