"""Dynamic draft trees: a draft goes as deep and as wide as its own scores make worthwhile, for the rule "coupled".

In the line of EAGLE-2 (Li et al. 2024, arXiv 2406.16858), which ranks nodes by the draft's own probability. Here draft
and target share their noise, so the target draws the same token unless its distribution differs enough to close the gap
between the best and the second-best noisy score. A draft goes on while one depth more is expected to commit more tokens
than its time commits elsewhere, and offers the second candidate where that pays; both are decided for all rows
together, which share a target call. Works with every drafter that draws one token after another. No token depends on
it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from spear_accel.decoding.control.acceptance import AcceptanceEstimator
from spear_accel.decoding.control.base import DraftPlan
from spear_accel.decoding.control.costs import DraftCosts, MarginalCost
from spear_accel.decoding.control.toggle import SpeculationToggle
from spear_accel.decoding.stats import RowOutcome
from spear_accel.decoding.tree import chain

__all__ = ["MAX_NODES", "DynamicTreeController", "DynamicTreeGate"]

_WIDEST = 4
"""Nodes of one depth that a draft goes on behind."""
_ENOUGH_NODES = 24
"""After which a draft ends."""
MAX_NODES = _ENOUGH_NODES + 2 * _WIDEST
"""Of any draft: the depth that reaches `_ENOUGH_NODES` is drawn to its end."""


class Decision(NamedTuple):
    """What a gate decided behind one node."""

    gaps: list[float]
    """Of every row, in nats."""
    width: int
    """Candidates offered."""
    first: int
    """Node number of the first of them; the others follow."""


class _Way(NamedTuple):
    """One candidate that the draft may go on behind."""

    expected: float
    """Rows whose accepted path is expected to get there."""
    place: int
    """Of its parent among the nodes of the depth."""
    reach: list[float]
    """P(the accepted path gets there), by row."""


class DynamicTreeGate:
    """The `TreeGate` of one round."""

    def __init__(self, acceptance: AcceptanceEstimator, cost: MarginalCost, rows: int, candidates: int = 2) -> None:
        """candidates: most candidates behind a node, 1 or 2."""
        self.goes_on = True
        self.decisions: dict[int, Decision] = {}
        """By node."""
        self._acceptance, self._cost, self._candidates = acceptance, cost, candidates
        self._reach = [[1.0] * rows]
        self._nodes = 0

    def decide(self, nodes: list[int], gaps: list[list[float]], branching: bool) -> list[tuple[int, int]]:
        offers: list[int] = []
        ways: list[_Way] = []
        for place, (node, reach, own) in enumerate(zip(nodes, self._reach, gaps, strict=True)):
            chances = [self._acceptance.by_gap(gap) for gap in own]
            first = [before * chance for before, (chance, _) in zip(reach, chances, strict=True)]
            second = [before * chance for before, (_, chance) in zip(reach, chances, strict=True)]
            wide = self._candidates > 1 and self._nodes < _ENOUGH_NODES and sum(second) > self._cost.node
            offers.append(2 if wide else 1)
            self.decisions[node] = Decision(own, offers[-1], self._nodes)
            self._nodes += offers[-1]
            ways += [_Way(sum(reach), place, reach) for reach in ((first, second) if wide else (first,))]
        return self._continue(offers, ways, _WIDEST if branching else 1)

    def _continue(self, offers: list[int], ways: list[_Way], widest: int) -> list[tuple[int, int]]:
        """Go on behind the candidates that are worth a node, the likeliest first; a second one never before its
        first."""
        follower = self._acceptance.undrawn
        worth = sorted((way for way in ways if way.expected * follower > self._cost.node), key=lambda way: -way[0])
        chosen = worth[:widest] if widest > 1 and worth else [max(ways, key=lambda way: way.expected)]
        going = [0] * len(offers)
        for way in chosen:
            going[way.place] += 1
        self._reach = []
        for place, count in enumerate(going):
            self._reach += [way.reach for way in ways if way.place == place][:count]
        expected = sum(map(sum, self._reach)) * follower
        self.goes_on = expected > self._cost.depth and self._nodes < _ENOUGH_NODES
        return list(zip(offers, going, strict=True))

    def learn(self, outcomes: Sequence[RowOutcome]) -> None:
        """Tell the estimator what the target drew behind every node that the accepted paths got to."""
        for row, outcome in enumerate(outcomes):
            for parent, node in zip((-1, *outcome.path), (*outcome.path, None), strict=True):
                decision = self.decisions.get(parent)
                if decision is None:
                    break
                rank = 0 if node is None else node - decision.first + 1
                self._acceptance.observe_gap(decision.gaps[row], rank, decision.width)


class DynamicTreeController:
    """Drafts by a gate, or not at all where that is faster. See `SpeculationController` for the methods."""

    max_nodes = MAX_NODES

    def __init__(self, costs: DraftCosts, longest: int, branching: bool) -> None:
        """Start from what tuning measured.

        Args:
            costs: Of the method.
            longest: Depth of the deepest draft that the drafter makes.
            branching: Whether the drafter offers a second candidate.
        """
        self._all, self._none = chain(longest), DraftPlan(chain(0))
        self._candidates = 2 if branching else 1
        self._acceptance = AcceptanceEstimator()
        self._marginal = cache(costs.marginal)
        self._toggle = SpeculationToggle(costs)

    def plan(self, rows: int) -> DraftPlan:
        if not self._toggle.drafts(rows):
            return self._none
        return DraftPlan(
            self._all, DynamicTreeGate(self._acceptance, self._marginal(rows), rows, self._candidates)
        )  # fmt: skip

    def observe(self, plan: DraftPlan, outcomes: Sequence[RowOutcome], seconds: float) -> None:
        if isinstance(plan.gate, DynamicTreeGate):
            plan.gate.learn(outcomes)
        self._toggle.observe(plan.shape.nodes > 0, outcomes, seconds)
