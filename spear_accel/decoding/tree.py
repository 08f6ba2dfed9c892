"""Shapes of drafts: which node follows which. A chain is the tree whose node i has parent i - 1.

One shape holds for all rows of a round; how many of its nodes count in a row is told elsewhere. Knows no tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch
from torch import Tensor

from spear_accel.errors import UserError
from spear_accel.model import Branching

__all__ = ["TreeShape", "Widths", "chain", "comb"]

Widths = tuple[int, ...]
"""Candidates at each depth of a draft."""


@dataclass(frozen=True)
class TreeShape:
    """N nodes in an order in which parents come before their children.

    parents: a node number each, -1 for children of the root (the last committed token).
    """

    parents: tuple[int, ...]

    def __post_init__(self) -> None:
        wrong = [node for node, parent in enumerate(self.parents) if not -1 <= parent < node]
        if wrong:
            node = wrong[0]
            raise UserError(
                f"draft tree: node {node} has parent {self.parents[node]}; a parent is -1 (the root) or an earlier node"
            )

    @property
    def nodes(self) -> int:
        return len(self.parents)

    @cached_property
    def depths(self) -> tuple[int, ...]:
        """1 for children of the root."""
        found: list[int] = []
        for parent in self.parents:
            found.append(1 if parent < 0 else found[parent] + 1)
        return tuple(found)

    @cached_property
    def ranks(self) -> tuple[int, ...]:
        """Number of each node among its siblings, 1 for the first."""
        return tuple(self.parents[: node + 1].count(parent) for node, parent in enumerate(self.parents))

    @property
    def most_children(self) -> int:
        """Of the root or a node."""
        return max(self.ranks, default=0)

    @cached_property
    def spine(self) -> tuple[int, ...]:
        """First children from the root on."""
        nodes: list[int] = []
        for node, (parent, rank) in enumerate(zip(self.parents, self.ranks, strict=True)):
            if rank == 1 and parent == (nodes[-1] if nodes else -1):
                nodes.append(node)
        return tuple(nodes)

    @property
    def depth(self) -> int:
        """Of the deepest node; 0 without nodes."""
        return self.depth_of(self.nodes)

    def depth_of(self, count: int) -> int:
        """Of the deepest of the first `count` nodes."""
        return max(self.depths[:count], default=0)

    @cached_property
    def is_chain(self) -> bool:
        return self.parents == tuple(range(-1, self.nodes - 1))

    def on(self, device: torch.device) -> TreeTensors:
        """The shape as tensors on a device, made once."""
        return _tensors(self.parents, device)


@dataclass(frozen=True)
class TreeTensors:
    """parents, depths: int64 [N]; ancestry: bool [N, N], true where the column's node is the row's or above it;
    children: int64 [N + 1, most children], of the root (0) and of each node i (i + 1), -1 behind the last; branching:
    root and nodes as the decoder's cache places them, None for a chain."""

    parents: Tensor
    depths: Tensor
    ancestry: Tensor
    children: Tensor
    branching: Branching | None


def chain(length: int) -> TreeShape:
    """`length` nodes, one behind the other."""
    return comb((1,) * length)


@lru_cache(maxsize=256)
def comb(widths: Widths) -> TreeShape:
    """A chain with leaves beside it: depth d has widths[d - 1] nodes, all children of the chain's node above.

    Nodes stand in order of depth, the chain's own first at each depth.
    """
    parents: list[int] = []
    above = -1
    for width in widths:
        if width < 1:
            raise UserError(f"draft tree: {width} candidates at a depth; at least one is needed")
        first = len(parents)
        parents += [above] * width
        above = first
    return TreeShape(tuple(parents))


@lru_cache(maxsize=256)
def _tensors(parents: tuple[int, ...], device: torch.device) -> TreeTensors:
    shape = TreeShape(parents)
    ancestry = torch.eye(shape.nodes, dtype=torch.bool)
    for node, parent in enumerate(parents):
        if parent >= 0:
            ancestry[node] |= ancestry[parent]
    depths = torch.tensor(shape.depths, dtype=torch.int64)
    branching = None
    if not shape.is_chain:
        visible = torch.nn.functional.pad(ancestry, (1, 0, 1, 0))
        visible[:, 0] = True
        branching = Branching(torch.nn.functional.pad(depths, (1, 0)).to(device), visible.to(device))
    children = torch.full((shape.nodes + 1, shape.most_children), -1)
    for node, (parent, rank) in enumerate(zip(parents, shape.ranks, strict=True)):
        children[parent + 1, rank - 1] = node
    parents_of = torch.tensor(parents, dtype=torch.int64, device=device)
    return TreeTensors(parents_of, depths.to(device), ancestry.to(device), children.to(device), branching)
