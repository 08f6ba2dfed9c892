"""How to draft: the shape that promises most committed tokens per second, no draft included.

Promise with B live rows: expected tokens / round time. Tokens: 1 and, for each node, the chance that the path gets
there. Both sides come from measurements: what a voice's tuning says at first, then what this job itself sees. Knows no
model and no tokens.
"""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Protocol

from spear_accel.decoding.stats import Judged
from spear_accel.decoding.tree import Acceptance, TreeShape, chain, comb, sparse

__all__ = ["AdaptiveLength", "DraftCosts", "FixedLength", "LengthPolicy", "expected_tokens", "plans", "rows_group",
           "rows_scale"]  # fmt: skip

_MEMORY = 0.97
"""Share of the acceptance counts that a round leaves in place."""
_PRIOR_ROUNDS = 24.0
"""Weight of the tuned acceptance, in rounds of one row."""
_FIRST_PROBE, _PROBE_EVERY = 10, 40
"""Rounds before the first look at another plan, and between looks."""
_REVIEW_EVERY = 8
"""Rounds for which a choice stands."""
_ENOUGH = 2
"""Measurements of a plan before they take the place of the tuned time."""
_SPARSE = (6, 9, 12, 16, 24)
"""Nodes of the trees that are considered."""


@dataclass(frozen=True)
class DraftCosts:
    """What tuning measured of one method.

    rounds: by number of live rows, the time of a round with a chain of 0, 1, 2, ... in units of an autoregressive
    round of as many rows; node: the time of one node more, in the same unit, where the method can branch.
    """

    acceptance: Acceptance = ((0.6,),) * 4
    rounds: Mapping[int, tuple[float, ...]] = field(default_factory=lambda: {1: (1.0, 1.3, 1.45, 1.6, 1.75)})
    node: Mapping[int, float] = field(default_factory=dict)
    anywhere: bool = False
    """Whether its candidates may go on behind any node."""

    @property
    def longest(self) -> int:
        """Longest chain that was measured."""
        return min(len(times) for times in self.rounds.values()) - 1

    def round_time(self, live: int, shape: TreeShape) -> float:
        """Of the nearest measured number of rows, by ratio."""
        spine = self.rounds[_nearest(self.rounds, live)][shape.depth]
        more = shape.nodes - shape.depth
        return spine + more * self.node[_nearest(self.node, live)] if more else spine

    def speedup(self, live: int) -> tuple[float, TreeShape]:
        """Best promise over autoregressive decoding, and the shape that makes it."""
        promises = [
            (expected_tokens(self.acceptance, shape) / self.round_time(live, shape), shape)
            for shape in plans(self, self.longest)
        ]
        return max(promises, key=lambda promise: promise[0])


def plans(costs: DraftCosts, longest: int, candidates: int | None = None) -> list[TreeShape]:
    """All drafts that are considered: chains of 0 to `longest`, the same with candidates beside them, and trees.

    candidates: bound on those at a depth, what was measured if left out.
    """
    shapes = [chain(length) for length in range(longest + 1)]
    if not costs.node:
        return shapes
    most = max(len(depth) for depth in costs.acceptance)
    most = most if candidates is None else min(most, candidates)
    combs = [comb((count,) * length) for count in range(2, most + 1) for length in range(1, longest + 1)]
    known = tuple(depth[:most] for depth in costs.acceptance[:longest])
    trees = [sparse(known, nodes) for nodes in _SPARSE] if costs.anywhere and most > 1 else []
    return list(dict.fromkeys((*shapes, *combs, *trees)))


def expected_tokens(acceptance: Acceptance, shape: TreeShape) -> float:
    """Committed tokens of a round, the recovered or bonus token included."""
    chances: list[float] = []
    for parent, depth, rank in zip(shape.parents, shape.depths, shape.ranks, strict=True):
        own = acceptance[min(depth, len(acceptance)) - 1]
        chance = own[rank - 1] if rank <= len(own) else 0.0
        chances.append(chance * (1.0 if parent < 0 else chances[parent]))
    return 1.0 + sum(chances)


class LengthPolicy(Protocol):
    """Chooses the draft of every round."""

    most_nodes: int
    """Of any draft that it asks for."""

    def shape(self, live: int) -> TreeShape:
        """For a round with `live` rows."""

    def observe(self, shape: TreeShape, rows: Sequence[Judged], seconds: float) -> None:
        """A round with such a draft is over: what became of each live row's, and the time of the round."""


class FixedLength:
    """Always the same."""

    def __init__(self, length: int, candidates: int = 1) -> None:
        self._shape = comb((candidates,) * length)
        self.most_nodes = self._shape.nodes

    def shape(self, live: int) -> TreeShape:
        return self._shape

    def observe(self, shape: TreeShape, rows: Sequence[Judged], seconds: float) -> None:
        """Nothing to learn."""


class AdaptiveLength:
    """Follows measured acceptance and round times; see the module."""

    def __init__(self, costs: DraftCosts, longest: int, candidates: int | None = None) -> None:
        """longest: bound from the drafter; candidates: bound on those at a depth, what was measured if left out."""
        longest = min(longest, costs.longest)
        self._costs, self._plans = costs, plans(costs, longest, candidates)
        self.most_nodes = max(shape.nodes for shape in self._plans)
        known = [costs.acceptance[min(depth, len(costs.acceptance) - 1)] for depth in range(longest)]
        self._acceptance = [[_Share(chance) for chance in own] for own in known]
        self._times: dict[tuple[int, TreeShape], deque[float]] = defaultdict(lambda: deque(maxlen=9))
        self._rounds: dict[int, int] = defaultdict(int)
        self._chosen: dict[int, TreeShape] = {}

    def shape(self, live: int) -> TreeShape:
        group = rows_group(live)
        count = self._rounds[group]
        self._rounds[group] += 1
        if count % _REVIEW_EVERY == 0:
            self._chosen[group] = self._review(live)
        best = self._chosen[group]
        if count % _PROBE_EVERY != _FIRST_PROBE:
            return best
        # What no draft would take decides whether drafting pays at all, so it is looked at first.
        if best.nodes and len(self._times[group, self._plans[0]]) < _ENOUGH:
            return self._plans[0]
        near = [shape for shape in self._plans if shape != best and _neighbours(shape, best)]
        return min(near, key=lambda shape: len(self._times[group, shape]), default=best)

    def observe(self, shape: TreeShape, rows: Sequence[Judged], seconds: float) -> None:
        self._times[rows_group(len(rows)), shape].append(seconds / rows_scale(len(rows)))
        for depth, shares in enumerate(self._acceptance[: shape.depth]):
            there = [row.steps[depth] for row in rows if len(row.steps) > depth]
            for rank, share in enumerate(shares, 1):
                offered = [right for width, right in there if width >= rank]
                share.add(sum(right == rank for right in offered), len(offered))

    def _review(self, live: int) -> TreeShape:
        acceptance = tuple(tuple(share.value for share in shares) for shares in self._acceptance)
        promises = [expected_tokens(acceptance, shape) / self._round_time(live, shape) for shape in self._plans]
        return self._plans[promises.index(max(promises))]

    def _round_time(self, live: int, shape: TreeShape) -> float:
        """Tuned time, or what this job measured, in the unit of whichever plan both know."""
        group = rows_group(live)
        tuned = self._costs.round_time(live, shape)
        measured = self._times.get((group, shape), ())
        if len(measured) >= _ENOUGH:
            return median(measured)
        known = [
            (len(times), median(times) / self._costs.round_time(live, other))
            for (rows, other), times in self._times.items()
            if rows == group and len(times) >= _ENOUGH
        ]
        return tuned * max(known)[1] if known else tuned


class _Share:
    """A probability that starts from a prior and forgets."""

    def __init__(self, prior: float) -> None:
        self._right, self._tried = prior * _PRIOR_ROUNDS, _PRIOR_ROUNDS

    def add(self, right: int, tried: int) -> None:
        """Count a round in which `tried` rows got there and `right` of them were right."""
        if tried:
            self._right = self._right * _MEMORY + right
            self._tried = self._tried * _MEMORY + tried

    @property
    def value(self) -> float:
        return self._right / self._tried


def _neighbours(one: TreeShape, other: TreeShape) -> bool:
    """No draft, or one that differs a little: in depth by one, or in the number of nodes alone."""
    return not one.nodes or abs(one.depth - other.depth) <= 1


def _nearest(measured: Mapping[int, object], live: int) -> int:
    return min(measured, key=lambda rows: max(rows / live, live / rows))


def rows_group(live: int) -> int:
    """Numbers of rows that share measurements: 1, 2, 3-4, 5-8, 9-16, ..."""
    return (live - 1).bit_length()


def rows_scale(live: int) -> float:
    """Rounds of a group's different sizes are compared as if of its largest; their times grow a little slower."""
    return math.sqrt(live / (1 << rows_group(live)))
