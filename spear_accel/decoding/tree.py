"""Shapes of drafts: which node follows which. A chain is the tree whose node i has parent i - 1.

One shape holds for all rows of a round; `Proposal.lengths` says how many of its nodes count in a row. Knows no tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from heapq import heappop, heappush

import torch
from torch import Tensor

from spear_accel.errors import UserError
from spear_accel.model import TreeMask

__all__ = ["Acceptance", "TreeShape", "chain", "comb", "sparse", "tree"]

Acceptance = tuple[tuple[float, ...], ...]
"""By depth, P(candidate 1, 2, ... is right | the path got there)."""


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

    @cached_property
    def children(self) -> tuple[tuple[int, ...], ...]:
        """Of the root (0) and of each node i (i + 1)."""
        found: list[list[int]] = [[] for _ in range(self.nodes + 1)]
        for node, parent in enumerate(self.parents):
            found[parent + 1].append(node)
        return tuple(tuple(family) for family in found)

    @cached_property
    def spine(self) -> tuple[int, ...]:
        """First children from the root on."""
        nodes: list[int] = []
        while self.children[(nodes[-1] if nodes else -1) + 1]:
            nodes.append(self.children[(nodes[-1] if nodes else -1) + 1][0])
        return tuple(nodes)

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """Children of the root and of each node of the spine but the last."""
        return tuple(len(self.children[node + 1]) for node in (-1, *self.spine[:-1])) if self.nodes else ()

    @cached_property
    def depth(self) -> int:
        """Of the deepest node; 0 without nodes."""
        return self.depth_of(self.nodes)

    def depth_of(self, count: int) -> int:
        """Of the deepest of the first `count` nodes."""
        return max(self.depths[:count], default=0)

    def steps(self, path: Sequence[int], offered: int, depth: int) -> tuple[tuple[int, int], ...]:
        """See `RowOutcome.steps`: of the first `offered` nodes, down to `depth`."""
        steps = []
        for number, node in enumerate((-1, *path)):
            family = [child for child in self.children[node + 1] if child < offered]
            if not family or number == depth:
                break
            steps.append((len(family), self.ranks[path[number]] if number < len(path) else 0))
        return tuple(steps)

    @cached_property
    def is_chain(self) -> bool:
        return self.parents == tuple(range(-1, self.nodes - 1))

    def on(self, device: torch.device) -> TreeTensors:
        """The shape as tensors on a device, made once."""
        return _tensors(self.parents, device)

    def windows(self, width: int, device: torch.device) -> Tensor:
        """int64 [N + 1, width]: for the root and each node, which of `width` earlier tokens (0 .. width - 1) and of
        the nodes' tokens (width + node) are the last `width` in front of what follows it."""
        return _windows(self.parents, width, device)


@dataclass(frozen=True)
class TreeTensors:
    """parents, depths, ranks: int64 [N]; ancestry: bool [N, N], true where the column's node is the row's or above it;
    children: int64 [N + 1, most children], of the root (0) and of each node i (i + 1), -1 behind the last; mask:
    root and nodes as the decoder's cache places them, None for a chain."""

    parents: Tensor
    depths: Tensor
    ranks: Tensor
    ancestry: Tensor
    children: Tensor
    mask: TreeMask | None


def chain(length: int) -> TreeShape:
    """`length` nodes, one behind the other."""
    return comb((1,) * length)


@lru_cache(maxsize=4096)
def tree(parents: tuple[int, ...]) -> TreeShape:
    """The shape with these parents, made once: what it is asked for stays worked out."""
    return TreeShape(parents)


@lru_cache(maxsize=4096)
def comb(widths: tuple[int, ...]) -> TreeShape:
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
    return tree(tuple(parents))


def sparse(acceptance: Acceptance, nodes: int) -> TreeShape:
    """The tree of `nodes` nodes whose path is expected to be longest (Medusa, Cai et al. 2024), if a candidate's chance
    does not depend on which node it follows: nodes are added where the chance of getting there is highest."""
    # Chance, then depth and rank, so that of equal chances parents and first candidates come first.
    waiting = [(-acceptance[0][0], 1, 1, -1)] if acceptance and acceptance[0] else []
    parents: list[int] = []
    while waiting and len(parents) < nodes:
        chance, depth, rank, parent = heappop(waiting)
        node = len(parents)
        parents.append(parent)
        own = acceptance[depth - 1]
        if rank < len(own) and own[rank - 1] > 0.0:
            heappush(waiting, (chance / own[rank - 1] * own[rank], depth, rank + 1, parent))
        if depth < len(acceptance) and acceptance[depth]:
            heappush(waiting, (chance * acceptance[depth][0], depth + 1, 1, node))
    return TreeShape(tuple(parents))


@lru_cache(maxsize=4096)
def _tensors(parents: tuple[int, ...], device: torch.device) -> TreeTensors:
    shape = TreeShape(parents)
    ancestry = torch.eye(shape.nodes, dtype=torch.bool)
    for node, parent in enumerate(parents):
        if parent >= 0:
            ancestry[node] |= ancestry[parent]
    depths = torch.tensor(shape.depths, dtype=torch.int64)
    mask = None
    if not shape.is_chain:
        visible = torch.nn.functional.pad(ancestry, (1, 0, 1, 0))
        visible[:, 0] = True
        mask = TreeMask(torch.nn.functional.pad(depths, (1, 0)).to(device), visible.to(device))
    most = max(len(family) for family in shape.children)
    families = [[*family, *[-1] * (most - len(family))] for family in shape.children]
    return TreeTensors(
        _ids(parents, device), depths.to(device), _ids(shape.ranks, device), ancestry.to(device),
        torch.tensor(families, dtype=torch.int64, device=device).view(shape.nodes + 1, most), mask,
    )  # fmt: skip


@lru_cache(maxsize=256)
def _windows(parents: tuple[int, ...], width: int, device: torch.device) -> Tensor:
    paths: list[list[int]] = [[]]
    for node, parent in enumerate(parents):
        paths.append([*paths[parent + 1], node])
    rows = [[*range(width), *(width + node for node in path)][-width:] for path in paths]
    return torch.tensor(rows, device=device)


def _ids(values: Sequence[int], device: torch.device) -> Tensor:
    return torch.tensor(values, dtype=torch.int64, device=device)
