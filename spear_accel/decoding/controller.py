"""How to draft: the widths that promise most committed tokens per second, no draft included.

Promise of a comb with B live rows: expected tokens / round time. Tokens: 1 and, for each depth, the chance that the
chain gets there times the chance that one of the depth's candidates is right. Both sides come from measurements: what a
voice's tuning says at first, then what this job itself sees. Knows no model and no tokens.
"""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Protocol

from spear_accel.decoding.stats import Judged
from spear_accel.decoding.tree import Widths

__all__ = ["AdaptiveLength", "DraftCosts", "FixedLength", "LengthPolicy", "plans"]

_MEMORY = 0.97
"""Share of the acceptance counts that a round leaves in place."""
_PRIOR_ROUNDS = 24.0
"""Weight of the tuned acceptance, in rounds of one row."""
_PROBE_EVERY = 40
"""Rounds between looks at a neighbouring plan."""
_REVIEW_EVERY = 8
"""Rounds for which a choice stands."""
_ENOUGH = 3
"""Measurements of a plan before they take the place of the tuned time."""


@dataclass(frozen=True)
class DraftCosts:
    """What tuning measured of one method.

    acceptance: P(first candidate at depth i is right | the draft got there), i = 1, 2, ...
    siblings: P(candidate 2, 3, ... is right | the draft got there), of all depths together; empty: it cannot branch.
    rounds: by number of live rows, the time of a round with a chain of 0, 1, 2, ... in units of an autoregressive
    round of as many rows; node: the time of one node more, in the same unit.
    """

    acceptance: tuple[float, ...] = (0.6, 0.6, 0.6, 0.6)
    siblings: tuple[float, ...] = ()
    rounds: Mapping[int, tuple[float, ...]] = field(default_factory=lambda: {1: (1.0, 1.3, 1.45, 1.6, 1.75)})
    node: Mapping[int, float] = field(default_factory=dict)

    @property
    def longest(self) -> int:
        """Longest chain that was measured."""
        return min(len(times) for times in self.rounds.values()) - 1

    @property
    def most_candidates(self) -> int:
        """At a depth."""
        return 1 + len(self.siblings) if self.node else 1

    def round_time(self, live: int, widths: Widths) -> float:
        """Of the nearest measured number of rows, by ratio."""
        chain = self.rounds[_nearest(self.rounds, live)][len(widths)]
        more = sum(widths) - len(widths)
        return chain + more * self.node[_nearest(self.node, live)] if more else chain

    def speedup(self, live: int) -> tuple[float, Widths]:
        """Best promise over autoregressive decoding, and the widths that make it."""
        return max(
            (expected_tokens(self.acceptance, self.siblings, widths) / self.round_time(live, widths), widths)
            for widths in plans(self.longest, self.most_candidates)
        )


def plans(longest: int, candidates: int) -> list[Widths]:
    """All drafts that are considered: chains of 0 to `longest`, and the same with more candidates at every depth."""
    chains = [(1,) * length for length in range(longest + 1)]
    return [*chains, *((count,) * len(chain) for count in range(2, candidates + 1) for chain in chains[1:])]


def expected_tokens(acceptance: Sequence[float], siblings: Sequence[float], widths: Widths) -> float:
    """Committed tokens of a round, the recovered or bonus token included."""
    total = there = 1.0
    for depth, width in enumerate(widths):
        first = acceptance[min(depth, len(acceptance) - 1)]
        total += there * min(1.0, first + sum(siblings[: width - 1]))
        there *= first
    return total


class LengthPolicy(Protocol):
    """Chooses the draft of every round."""

    longest: int
    """Deepest draft it ever asks for."""
    most_nodes: int

    def widths(self, live: int) -> Widths:
        """Candidates at each depth, for a round with `live` rows."""

    def observe(self, widths: Widths, rows: Sequence[Judged], seconds: float) -> None:
        """A round with such drafts is over: what became of each live row's, and the time of the round."""


class FixedLength:
    """Always the same."""

    def __init__(self, length: int, candidates: int = 1) -> None:
        self.longest, self.most_nodes = length, length * candidates
        self._widths = (candidates,) * length

    def widths(self, live: int) -> Widths:
        return self._widths

    def observe(self, widths: Widths, rows: Sequence[Judged], seconds: float) -> None:
        """Nothing to learn."""


class AdaptiveLength:
    """Follows measured acceptance and round times; see the module."""

    def __init__(self, costs: DraftCosts, longest: int, candidates: int | None = None) -> None:
        """longest: bound from the drafter; candidates: bound on those at a depth, what was measured if left out."""
        self.longest = min(longest, costs.longest)
        most = costs.most_candidates if candidates is None else min(candidates, costs.most_candidates)
        self._plans = plans(self.longest, most)
        self.most_nodes = max(sum(widths) for widths in self._plans)
        self._costs = costs
        self._acceptance = [_Share(costs.acceptance[min(i, len(costs.acceptance) - 1)]) for i in range(self.longest)]
        self._siblings = [_Share(share) for share in costs.siblings[: most - 1]]
        self._times: dict[tuple[int, Widths], deque[float]] = defaultdict(lambda: deque(maxlen=9))
        self._rounds: dict[int, int] = defaultdict(int)
        self._chosen: dict[int, Widths] = {}

    def widths(self, live: int) -> Widths:
        group = _group(live)
        count = self._rounds[group]
        self._rounds[group] += 1
        if count % _REVIEW_EVERY == 0:
            self._chosen[group] = max(self._plans, key=lambda widths: self._promise(live, widths))
        best = self._chosen[group]
        if (count + 1) % _PROBE_EVERY:
            return best
        near = [widths for widths in self._plans if widths != best and _neighbours(widths, best)]
        return min(near, key=lambda widths: len(self._times[group, widths]), default=best)

    def observe(self, widths: Widths, rows: Sequence[Judged], seconds: float) -> None:
        live = len(rows)
        self._times[_group(live), widths].append(seconds / _scale(live))
        for depth in range(len(widths)):
            there = [row for row in rows if row.offered > depth and row.chain >= depth]
            self._acceptance[depth].add(sum(row.chain > depth for row in there), len(there))
            for number in range(widths[depth] - 1):
                right = sum(row.accepted == depth + 1 and row.rank == number + 2 for row in there)
                self._siblings[number].add(right, len(there))

    def _promise(self, live: int, widths: Widths) -> float:
        acceptance = [share.value for share in self._acceptance]
        siblings = [share.value for share in self._siblings]
        return expected_tokens(acceptance, siblings, widths) / self._round_time(live, widths)

    def _round_time(self, live: int, widths: Widths) -> float:
        """Tuned time, or what this job measured, in the unit of whichever plan both know."""
        group = _group(live)
        tuned = self._costs.round_time(live, widths)
        measured = self._times.get((group, widths), ())
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
        self._right = self._right * _MEMORY + right
        self._tried = self._tried * _MEMORY + tried

    @property
    def value(self) -> float:
        return self._right / self._tried


def _neighbours(one: Widths, other: Widths) -> bool:
    """No draft, one step longer or shorter, or another number of candidates on the same length."""
    if not one:
        return True
    same_candidates = not other or max(one) == max(other)
    return (same_candidates and abs(len(one) - len(other)) == 1) or len(one) == len(other)


def _nearest(measured: Mapping[int, object], live: int) -> int:
    return min(measured, key=lambda rows: max(rows / live, live / rows))


def _group(live: int) -> int:
    """Numbers of rows that share measurements: 1, 2, 3-4, 5-8, 9-16, ..."""
    return (live - 1).bit_length()


def _scale(live: int) -> float:
    """Rounds of a group's different sizes are compared as if of its largest; their times grow a little slower."""
    return math.sqrt(live / (1 << _group(live)))
