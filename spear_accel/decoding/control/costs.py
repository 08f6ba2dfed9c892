"""What drafts cost and bring, as tuning measured it: round times, acceptance, and the shapes worth considering.

A shape is scored by expected committed tokens per second: (1 + the sum over its nodes of P(the accepted path reaches
the node)) / round time. Knows numbers only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from spear_accel.decoding.tree import Acceptance, TreeShape, chain, comb, sparse
from spear_accel.model.config import LONGEST_BLOCK

__all__ = ["DraftCosts", "MarginalCost", "candidate_shapes", "expected_tokens"]

_SPARSE_NODES = (6, 9, 12, 16, 24)
"""Sizes of the sparse trees that are considered."""

T = TypeVar("T")


@dataclass(frozen=True)
class MarginalCost:
    """Price of drafting on, in expected tokens of all rows together: what the same time brings at the present speed."""

    depth: float
    """Of one depth more."""
    node: float
    """Of one candidate more."""


@dataclass(frozen=True)
class DraftCosts:
    """Measured costs of one method."""

    acceptance: Acceptance = ((0.6,),) * 4
    rounds: Mapping[int, tuple[float, ...]] = field(default_factory=lambda: {1: (1.0, 1.3, 1.45, 1.6, 1.75)})
    """By number of live rows: the time of a round with a chain of 0, 1, 2, ... tokens, in units of an autoregressive
    round of as many rows."""
    node: Mapping[int, float] = field(default_factory=dict)
    """By number of live rows: the time of one candidate more, in the same unit; empty for drafts that are chains."""
    anywhere: bool = False
    """Whether the draft can go on behind any candidate, so that sparse trees are considered."""

    @property
    def longest(self) -> int:
        """Longest chain that was measured."""
        return min(len(times) for times in self.rounds.values()) - 1

    def round_time(self, rows: int, shape: TreeShape) -> float:
        """Time of a round at the nearest measured number of rows, by ratio."""
        spine = _nearest(self.rounds, rows)[shape.depth]
        more = shape.nodes - shape.depth
        return spine + more * _nearest(self.node, rows) if more else spine

    def speedup(self, rows: int) -> tuple[float, TreeShape]:
        """The best expected speed-up over autoregressive decoding, and its shape."""
        shapes = candidate_shapes(self, self.longest)
        speeds = [(expected_tokens(self.acceptance, shape) / self.round_time(rows, shape), shape) for shape in shapes]
        return max(speeds, key=lambda speed: speed[0])

    def marginal(self, rows: int) -> MarginalCost:
        """Price of drafting on with so many rows, at the speed-up expected for the nearest measured number of rows."""
        measured = _nearest_key(self.rounds, rows)
        times = self.rounds[measured]
        step = (times[-1] - times[1]) / (len(times) - 2) if len(times) > 2 else times[1] - times[0]
        speed = rows * self.speedup(measured)[0]
        return MarginalCost(speed * step, speed * self.node.get(measured, math.inf))


def candidate_shapes(costs: DraftCosts, longest: int, candidates: int | None = None) -> list[TreeShape]:
    """List the shapes that a controller considers: chains of 0 to `longest` tokens, combs, and sparse trees.

    Args:
        costs: What was measured; without `costs.node` there are chains only, and sparse trees need `costs.anywhere`.
        longest: Depth of the deepest shape.
        candidates: Most candidates at a depth; None takes as many as were measured.
    """
    shapes = [chain(length) for length in range(longest + 1)]
    if not costs.node:
        return shapes
    most = max(len(depth) for depth in costs.acceptance)
    most = most if candidates is None else min(most, candidates)
    combs = [comb((count,) * length) for count in range(2, most + 1) for length in range(1, longest + 1)]
    known = tuple(depth[:most] for depth in costs.acceptance[:longest])
    trees = [sparse(known, nodes) for nodes in _SPARSE_NODES] if costs.anywhere and most > 1 else []
    return [shape for shape in dict.fromkeys((*shapes, *combs, *trees)) if shape.nodes < LONGEST_BLOCK]


def expected_tokens(acceptance: Acceptance, shape: TreeShape) -> float:
    """Expected committed tokens of a round, the recovered or bonus token included."""
    chances: list[float] = []
    for parent, depth, rank in zip(shape.parents, shape.depths, shape.ranks, strict=True):
        own = acceptance[min(depth, len(acceptance)) - 1]
        chance = own[rank - 1] if rank <= len(own) else 0.0
        chances.append(chance * (1.0 if parent < 0 else chances[parent]))
    return 1.0 + sum(chances)


def _nearest_key(measured: Mapping[int, object], rows: int) -> int:
    return min(measured, key=lambda count: max(count / rows, rows / count))


def _nearest(measured: Mapping[int, T], rows: int) -> T:
    return measured[_nearest_key(measured, rows)]
