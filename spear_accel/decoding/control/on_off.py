"""Whether to draft at all, where how far a draft goes is decided while it is made (`dynamic.py`).

Follows what this job measures of rounds with drafts and without; until then, what tuning promised. Knows no model.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from statistics import mean, median

from spear_accel.decoding.control.adaptive import DraftCosts, rows_group, rows_scale
from spear_accel.decoding.stats import Judged
from spear_accel.decoding.tree import TreeShape, chain

__all__ = ["DraftOrNot"]

_FIRST_PROBE, _PROBE_EVERY = 10, 60
"""Rounds before the first look at the other way, and between looks."""
_REVIEW_EVERY = 4
"""Rounds for which a choice stands."""
_ENOUGH = 2
"""Rounds of either way before they are compared."""


class DraftOrNot:
    """Drafts or does not, whichever brings more tokens a second with so many rows. A `LengthPolicy`."""

    def __init__(self, costs: DraftCosts, longest: int, most_nodes: int) -> None:
        """longest, most_nodes: bounds of what is drafted; costs: of use until this job has measured its own."""
        self.most_nodes = most_nodes
        self._costs, self._none, self._all = costs, chain(0), chain(longest)
        self._times: dict[tuple[int, TreeShape], deque[float]] = defaultdict(lambda: deque(maxlen=9))
        self._tokens: dict[int, deque[float]] = defaultdict(lambda: deque(maxlen=24))
        self._rounds: dict[int, int] = defaultdict(int)
        self._drafts: dict[int, bool] = {}

    def shape(self, live: int) -> TreeShape:
        group = rows_group(live)
        count = self._rounds[group]
        self._rounds[group] += 1
        if count % _REVIEW_EVERY == 0:
            self._drafts[group] = self._pays(live, group)
        drafts = self._drafts[group]
        # Two rounds of the other kind now and then: the first of them pays for the change.
        if count % _PROBE_EVERY in (_FIRST_PROBE, _FIRST_PROBE + 1):
            drafts = not drafts
        return self._all if drafts else self._none

    def observe(self, shape: TreeShape, rows: Sequence[Judged], seconds: float) -> None:
        group = rows_group(len(rows))
        self._times[group, shape].append(seconds / rows_scale(len(rows)))
        if shape.nodes:
            self._tokens[group].append(1.0 + sum(row.accepted for row in rows) / len(rows))

    def _pays(self, live: int, group: int) -> bool:
        none, drafted = self._times[group, self._none], self._times[group, self._all]
        if min(len(none), len(drafted)) < _ENOUGH:
            return self._costs.speedup(live)[0] > 1.0
        return mean(self._tokens[group]) / median(drafted) > 1.0 / median(none)
