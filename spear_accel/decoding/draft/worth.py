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

from spear_accel.decoding.controller import DraftCosts
from spear_accel.decoding.draft.base import Branches, Drafter, Round
from spear_accel.decoding.proposal import Proposal, Verdict
from spear_accel.model import DecoderState

__all__ = ["Odds", "Prices", "WorthwhileDrafts"]

_EDGES = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
"""Gaps, in nats, between which chances are taken to be alike."""
_FIRST, _STEEPNESS, _SECOND = 0.8, 1.5, 0.6
"""Before anything is seen: the first is right with this chance, with a logistic one where its gap is known, and the
second with this one where the first is wrong (the shipped heads, 2,700 drafts)."""
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


class _Worth:
    """The `Appraisal` of one round."""

    def __init__(self, odds: Odds, prices: Prices, rows: int, widest: int) -> None:
        self.gaps: list[list[float]] = []
        self.goes_on = True
        self._odds, self._prices, self._widest = odds, prices, widest
        self._reached = [1.0] * rows

    def width(self, gaps: list[float]) -> int:
        """See `Appraisal`."""
        self.gaps.append(gaps)
        chances = [self._odds.chances(gap) for gap in gaps]
        missed = sum(there * second for there, (_, second) in zip(self._reached, chances, strict=True))
        self._reached = [there * first for there, (first, _) in zip(self._reached, chances, strict=True)]
        self.goes_on = sum(self._reached) * self._odds.average > self._prices.depth
        return 2 if self._widest > 1 and missed > self._prices.node else 1


class WorthwhileDrafts:
    """See `Drafter` for the methods."""

    branches: Branches = "nowhere"
    stepwise = False

    def __init__(self, inner: Drafter, costs: DraftCosts) -> None:
        """costs: what rounds take."""
        self.inner, self.longest, self.odds = inner, inner.longest, Odds()
        self._prices = cache(partial(Prices.of, costs))
        self._widest = 1 if inner.branches == "nowhere" else 2
        self._worth: _Worth | None = None
        self._proposal: Proposal

    def reset(self, rows: int, capacity: int, text_capacity: int) -> None:
        self.inner.reset(rows, capacity, text_capacity)

    def admit(self, state: DecoderState, texts: Tensor) -> None:
        self.inner.admit(state, texts)

    def propose(self, current: Round) -> Proposal:
        rows = current.state.rows
        self._worth = _Worth(self.odds, self._prices(rows), rows, self._widest)
        self._proposal = self.inner.propose(replace(current, appraisal=self._worth))
        return self._proposal

    def keep(self, verdict: Verdict, hidden: Tensor) -> None:
        if self._worth is not None and self._worth.gaps:
            self._learn(self._worth.gaps, verdict.path.tolist(), verdict.accepted.tolist())
        self.inner.keep(verdict, hidden)

    def select(self, rows: Sequence[int]) -> None:
        self.inner.select(rows)

    def _learn(self, gaps: list[list[float]], paths: list[list[int]], accepted: list[int]) -> None:
        shape = self._proposal.shape
        for row, (path, count) in enumerate(zip(paths, accepted, strict=True)):
            for depth, width in enumerate(shape.widths):
                rank = shape.ranks[path[depth]] if depth < count else 0
                self.odds.observe(gaps[depth][row], rank, width)
                if rank != 1:
                    break


def _count(share: list[float], right: bool) -> None:
    """Of [right, tried], in which old draws fade."""
    if share[1] > _MEMORY:
        share[0], share[1] = share[0] / 2, share[1] / 2
    share[0] += right
    share[1] += 1.0
