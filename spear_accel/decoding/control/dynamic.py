"""Drafts as long and as wide as their own doubts make worthwhile, for the coupled rule.

Drafts and target share their noise, so the target draws the same token unless its law differs enough to close the gap
between the best and the second-best noisy score. Narrow gaps fail half the time and wide ones hardly ever. So a draft
goes on while one more depth is expected to bring more tokens than its time would bring elsewhere, and offers the second
candidate where that pays; both are judged over all rows together, which share a target call.

In the line of dynamic draft trees (EAGLE-2, Li et al. 2024, arXiv 2406.16858), whose confidence is the draft's own
probability. Wraps any drafter that draws one token after another; knows no head. No token depends on it.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import pairwise

from torch import Tensor

from spear_accel.decoding.control.adaptive import DraftCosts
from spear_accel.decoding.draft.base import Branches, Drafter, Grows, Round
from spear_accel.decoding.proposal import Proposal, Verdict
from spear_accel.model import DecoderState

__all__ = ["Odds", "Prices", "WorthwhileDrafts"]

_EDGES = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
"""Gaps, in nats, between which chances are taken to be alike."""
_FIRST, _STEEPNESS, _SECOND = 0.8, 1.5, 0.6
"""Before anything is seen: the first is right with this chance, with a logistic one where its gap is known, and the
second with this one where the first is wrong (docs/candidates.md)."""
_WIDEST = 4
"""Nodes of one depth that a draft goes on behind."""
_ENOUGH_NODES = 24
"""After which a draft ends."""
MOST_NODES = _ENOUGH_NODES + 2 * _WIDEST
"""Of any draft: the depth that reaches `_ENOUGH_NODES` is drawn to its end."""
_PRIOR, _MEMORY = 30.0, 400.0
"""Weight of that guess in draws, and the draws of a gap that are remembered."""


@dataclass(frozen=True)
class Prices:
    """Expected tokens, of all rows together, that must stand against the time of one depth or one node more."""

    depth: float
    node: float

    @classmethod
    def of(cls, costs: DraftCosts, rows: int) -> Prices:
        """What that time would bring at the speed that `costs` promise for so many rows, or the nearest measured."""
        nearest = min(costs.rounds, key=lambda measured: max(measured / rows, rows / measured))
        times = costs.rounds[nearest]
        step = (times[-1] - times[1]) / (len(times) - 2) if len(times) > 2 else times[1] - times[0]
        speed = rows * costs.speedup(nearest)[0]
        return cls(speed * step, speed * costs.node.get(nearest, math.inf))


class Odds:
    """How often the target drew the first or the second candidate, by the gap between them."""

    def __init__(self) -> None:
        middles = (0.0, *_EDGES, 2 * _EDGES[-1])
        gaps = [(low + high) / 2 for low, high in pairwise(middles)]
        self._first = [[_PRIOR / (1.0 + math.exp(-_STEEPNESS * gap)), _PRIOR] for gap in gaps]
        self._second = [[_PRIOR * _SECOND, _PRIOR] for _ in gaps]
        self._any = [_PRIOR * _FIRST, _PRIOR]

    @property
    def average(self) -> float:
        """Chance of a first candidate that is not drawn yet."""
        return self._any[0] / self._any[1]

    def chances(self, gap: float) -> tuple[float, float]:
        """Of the first and of the second candidate."""
        place = bisect_right(_EDGES, gap)
        first, second = (right / tried for right, tried in (self._first[place], self._second[place]))
        return first, (1.0 - first) * second

    def observe(self, gap: float, rank: int, width: int) -> None:
        """rank: of the candidate that was right, 0 for none of the `width` that were offered."""
        place = bisect_right(_EDGES, gap)
        _count(self._first[place], rank == 1)
        _count(self._any, rank == 1)
        if rank != 1 and width > 1:
            _count(self._second[place], rank == 2)


class Worth:
    """The `Appraisal` of one round."""

    def __init__(self, odds: Odds, prices: Prices, rows: int, widest: int = 2, forks: bool = False) -> None:
        """widest: candidates at most; forks: whether a draft can go on behind more than one of a depth."""
        self.goes_on = True
        self.judged: dict[int, tuple[list[float], int]] = {}
        """By node, the gaps of the rows and the number of candidates offered behind it."""
        self._odds, self._prices, self._widest, self._most = odds, prices, widest, _WIDEST if forks else 1
        self._reached = [[1.0] * rows]
        self._nodes = 0

    def judge(self, nodes: list[int], gaps: list[list[float]]) -> list[tuple[int, int]]:
        """See `Appraisal`."""
        offers: list[int] = []
        follow: list[tuple[float, int, list[float]]] = []
        for place, (node, reached, own) in enumerate(zip(nodes, self._reached, gaps, strict=True)):
            chances = [self._odds.chances(gap) for gap in own]
            first = [there * right for there, (right, _) in zip(reached, chances, strict=True)]
            second = [there * right for there, (_, right) in zip(reached, chances, strict=True)]
            wide = self._widest > 1 and self._nodes < _ENOUGH_NODES and sum(second) > self._prices.node
            offers.append(2 if wide else 1)
            self._nodes += offers[-1]
            self.judged[node] = (own, offers[-1])
            follow += [(sum(way), place, way) for way in ((first, second) if wide else (first,))]
        return self._continue(offers, follow)

    def _continue(self, offers: list[int], follow: list[tuple[float, int, list[float]]]) -> list[tuple[int, int]]:
        """Candidates that are worth a node behind them, the likeliest first; a second one never before its first."""
        next_right = self._odds.average
        worth = sorted((way for way in follow if way[0] * next_right > self._prices.node), key=lambda way: -way[0])
        best = max(follow, key=lambda way: way[0])
        going = [0] * len(offers)
        chosen = worth[: self._most] if self._most > 1 and worth else [best]
        for _, place, _ in chosen:
            going[place] += 1
        kept: list[list[float]] = []
        for place, count in enumerate(going):
            ways = [way for _, own, way in follow if own == place]
            kept += ways[:count]
        self._reached = kept
        self.goes_on = sum(map(sum, kept)) * next_right > self._prices.depth and self._nodes < _ENOUGH_NODES
        return list(zip(offers, going, strict=True))


class WorthwhileDrafts:
    """See `Drafter` for the methods."""

    branches: Branches = "nowhere"
    grows: Grows = "whole"

    def __init__(self, inner: Drafter, costs: DraftCosts) -> None:
        """costs: what rounds take."""
        self.inner, self.longest, self.odds = inner, inner.longest, Odds()
        self._prices = cache(partial(Prices.of, costs))
        self._widest = 1 if inner.grows == "chain" else 2
        self._worth: Worth | None = None
        self._proposal: Proposal

    def reset(self, rows: int, capacity: int, text_capacity: int) -> None:
        self.inner.reset(rows, capacity, text_capacity)

    def admit(self, state: DecoderState, texts: Tensor) -> None:
        self.inner.admit(state, texts)

    def propose(self, current: Round) -> Proposal:
        rows = current.state.rows
        # Which tokens a penalty looks at would differ from branch to branch.
        forks = self.inner.grows == "tree" and current.history is None
        self._worth = Worth(self.odds, self._prices(rows), rows, self._widest, forks)
        self._proposal = self.inner.propose(replace(current, appraisal=self._worth))
        return self._proposal

    def keep(self, verdict: Verdict, hidden: Tensor) -> None:
        if self._worth is not None:
            self._learn(self._worth.judged, verdict.path.tolist(), verdict.accepted.tolist())
        self.inner.keep(verdict, hidden)

    def select(self, rows: Sequence[int]) -> None:
        self.inner.select(rows)

    def _learn(self, judged: dict[int, tuple[list[float], int]], paths: list[list[int]], accepted: list[int]) -> None:
        ranks = self._proposal.shape.ranks
        for row, (path, count) in enumerate(zip(paths, accepted, strict=True)):
            for parent, node in zip([-1, *path[:count]], [*path[:count], None], strict=True):
                if parent not in judged:
                    break
                gaps, width = judged[parent]
                self.odds.observe(gaps[row], 0 if node is None else ranks[node], width)


def _count(share: list[float], right: bool) -> None:
    """Of [right, tried], in which old draws fade."""
    if share[1] > _MEMORY:
        share[0], share[1] = share[0] / 2, share[1] / 2
    share[0] += right
    share[1] += 1.0
