"""Measures what a voice's `auto` goes by: acceptance, and the time of a round by draft and number of rows.

Methods take turns at each number of rows, and within a decoding the draft changes every few rounds, so that all drafts
meet the same machine and caches of like size. Knows no files; `voice.components` keeps the result in a voice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import cycle, islice
from statistics import median

from spear_accel.decoding import DecodeOptions, Engine
from spear_accel.decoding.control.acceptance import candidate_counts
from spear_accel.decoding.control.base import DraftPlan
from spear_accel.decoding.control.costs import DraftCosts
from spear_accel.decoding.control.tuning import Tuning
from spear_accel.decoding.draft.autoregressive import Autoregressive
from spear_accel.decoding.draft.base import Drafter, fixed_topology
from spear_accel.decoding.methods import Drafting
from spear_accel.decoding.stats import RowOutcome
from spear_accel.decoding.tree import TreeShape, chain, comb
from spear_accel.errors import UserError
from spear_accel.model import TextToSemantic

__all__ = ["TimedDrafts", "TunePlan", "measure_costs"]


@dataclass(frozen=True)
class TunePlan:
    """How thoroughly to measure."""

    rows: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    longest: int = 8
    """Longest draft that is tried."""
    candidates: int = 3
    """Most candidates at a depth."""
    tokens: int = 100
    """Of every utterance; the rest is not decoded."""
    utterances: int = 12
    """At least so many, and at least twice the rows, are decoded at each number of rows."""
    repeats: int = 2

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", tuple(self.rows))

    def drafts(self, drafter: Drafter) -> list[TreeShape]:
        """Chains of every length, and one with all candidates where the drafter branches."""
        longest = min(self.longest, drafter.longest)
        chains = [chain(length) for length in range(longest + 1)]
        wide = drafter.topology != "chain" and self.candidates > 1
        return [*chains, comb((self.candidates,) * min(4, longest))] if wide else chains


_STRETCH = 5
"""Rounds with one draft, of which the first is not timed: sizes that are new to the processor's caches and to the
allocator cost a round a tenth more, which a decoding that keeps its draft does not pay."""
_MOST_TURNS = 20


class TimedDrafts:
    """Goes through drafts in turn and notes what rounds took while all rows were alive. A `SpeculationController`."""

    def __init__(self, drafts: Sequence[TreeShape], rows: int) -> None:
        self.drafts, self.rows = list(drafts), rows
        self.longest, self.max_nodes = (max(getattr(s, name) for s in drafts) for name in ("depth", "nodes"))
        self._round = 0
        self.seconds: dict[TreeShape, list[float]] = defaultdict(list)
        candidates = max((len(family) for shape in drafts for family in shape.children), default=1)
        self.tried = [[0] * candidates for _ in range(self.longest)]
        self.accepted = [[0] * candidates for _ in range(self.longest)]

    def plan(self, rows: int) -> DraftPlan:
        return DraftPlan(self.drafts[self._round // _STRETCH % len(self.drafts)])

    @property
    def complete(self) -> bool:
        """Whether every draft was timed."""
        return all(self.seconds[draft] for draft in self.drafts)

    def observe(self, plan: DraftPlan, outcomes: Sequence[RowOutcome], seconds: float) -> None:
        if len(outcomes) == self.rows:
            if self._round % _STRETCH:
                self.seconds[plan.shape].append(seconds)
            self._round += 1
        for depth, rank, accepted, tried in candidate_counts(outcomes):
            self.tried[depth][rank] += tried
            self.accepted[depth][rank] += accepted

    def times(self, unit: float) -> tuple[float, ...]:
        """Of the chains, by length, in units of `unit` seconds."""
        return tuple(round(median(self.seconds[chain(length)]) / unit, 3) for length in range(self.longest + 1))

    def node_time(self, unit: float) -> float | None:
        """Of one candidate more, in the same unit; None where none was tried."""
        wide = self.drafts[-1]
        more = wide.nodes - wide.depth
        if not more:
            return None
        longer = median(self.seconds[wide]) - median(self.seconds[chain(wide.depth)])
        return round(max(0.0, longer / more / unit), 4)


@dataclass
class _Found:
    """Of one method: times by number of rows, and what all numbers of rows together tell of acceptance."""

    anywhere: bool = False
    rounds: dict[int, tuple[float, ...]] = field(default_factory=dict)
    node: dict[int, float] = field(default_factory=dict)
    measured: list[TimedDrafts] = field(default_factory=list)

    def costs(self) -> DraftCosts:
        acceptance: list[list[float]] = []
        for depth in range(self.measured[0].longest):
            tried, accepted = (
                _sums([getattr(one, name)[depth] for one in self.measured]) for name in ("tried", "accepted")
            )
            # A candidate that was never tried so deep is taken to be as good as one depth above.
            known = [hits / count for hits, count in zip(accepted, tried, strict=True) if count]
            known += acceptance[-1][len(known) :] if acceptance else [0.0] * (not known)
            acceptance.append(_at_most_one(known))
        return DraftCosts(tuple(map(tuple, acceptance)), self.rounds, self.node, self.anywhere)


def measure_costs(
    model: TextToSemantic,
    drafting: Drafting,
    text_ids: Sequence[Sequence[int]],
    options: DecodeOptions,
    plan: TunePlan = TunePlan(),
) -> Tuning:
    """Costs of every method that `drafting` can run, under the temperature and the rule of `options`.

    text_ids: utterances without EOS, spoken again where they are fewer than the rows.
    """
    found = {method: _Found() for method in drafting.methods if method != "autoregressive"}
    for rows in plan.rows:
        texts = list(islice(cycle(text_ids), max(2 * rows, plan.utterances)))
        chosen = replace(options, batch_size=rows, max_tokens=plan.tokens, loop_retries=0)
        timed = _timed(model, drafting, list(found), texts, chosen, plan)
        unit = median(timed.pop("autoregressive").seconds[chain(0)])
        for method, measured in timed.items():
            own, node = found[method], measured.node_time(unit)
            own.measured.append(measured)
            own.anywhere = fixed_topology(drafting.drafter(model, method, plan.longest)) == "tree"
            own.rounds[rows] = measured.times(unit)
            if node is not None:
                own.node[rows] = node
    return Tuning({method: own.costs() for method, own in found.items()}, drafting.tuning.skip)


def _timed(
    model: TextToSemantic, drafting: Drafting, methods: Sequence[str], texts: list[Sequence[int]],
    options: DecodeOptions, plan: TunePlan,
) -> dict[str, TimedDrafts]:  # fmt: skip
    """Round times by method, autoregressive rounds among them. The first turn of each warms up and is left out.

    Raises UserError where the texts end too early for a draft to be timed.
    """
    timed: dict[str, TimedDrafts] = {}
    turn = 0
    while turn <= plan.repeats or not all(drafts.complete for drafts in timed.values()):
        if turn > _MOST_TURNS:
            raise UserError("the texts are too short to measure speed by; give longer ones")
        for method, drafter in _drafters(model, drafting, methods, plan):
            if turn <= 1:
                timed[method] = TimedDrafts(plan.drafts(drafter), options.batch_size)
            Engine(model, options, drafter=drafter, controller=timed[method]).decode(texts)
        turn += 1
    return timed


def _drafters(
    model: TextToSemantic, drafting: Drafting, methods: Sequence[str], plan: TunePlan
) -> Iterator[tuple[str, Drafter]]:
    yield "autoregressive", Autoregressive()
    for method in methods:
        yield method, drafting.drafter(model, method, plan.longest)


def _sums(columns: Sequence[Sequence[int]]) -> list[int]:
    return [sum(column) for column in zip(*columns, strict=True)]


def _at_most_one(chances: list[float]) -> list[float]:
    """Of one depth; ranks that were tried in different rounds can come to a little more than certainty."""
    total = sum(chances)
    return [chance / total for chance in chances] if total > 1.0 else chances
