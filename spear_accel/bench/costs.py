"""Measures what a voice's `auto` goes by: acceptance, and the time of a round by draft length and number of rows.

One decoding per method and number of rows, in which the draft length changes from round to round, so that all lengths
meet the same machine and caches of like size. Knows no files; `spear_accel.io.parts` keeps the result in a voice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import cycle, islice
from statistics import median

from spear_accel.decoding import DecodeOptions, Engine
from spear_accel.decoding.controller import DraftCosts
from spear_accel.decoding.draft.autoregressive import Autoregressive
from spear_accel.decoding.draft.base import Drafter
from spear_accel.decoding.methods import Drafting
from spear_accel.decoding.stats import Judged
from spear_accel.decoding.tuning import Tuning
from spear_accel.model import TextToSemantic

__all__ = ["TunePlan", "measure_costs"]


@dataclass(frozen=True)
class TunePlan:
    """How thoroughly to measure."""

    rows: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    longest: int = 8
    """Longest draft that is tried."""
    tokens: int = 100
    """Of every utterance; the rest is not decoded."""
    utterances: int = 12
    """At least so many, and at least twice the rows, are decoded at each number of rows."""
    repeats: int = 2

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", tuple(self.rows))


class TimedLengths:
    """Goes through the draft lengths in turn and notes what each round took while all rows were alive.

    A `LengthPolicy`.
    """

    def __init__(self, lengths: Sequence[int], rows: int) -> None:
        self.longest, self.rows = max(lengths), rows
        self._next = cycle(lengths)
        self.seconds: dict[int, list[float]] = defaultdict(list)
        self.reached, self.passed = [0] * self.longest, [0] * self.longest

    def length(self, live: int) -> int:
        return next(self._next)

    def observe(self, length: int, rows: Sequence[Judged], seconds: float) -> None:
        if len(rows) == self.rows:
            self.seconds[length].append(seconds)
        for offered, accepted in rows:
            for number in range(offered):
                self.reached[number] += 1
                self.passed[number] += number < accepted


@dataclass
class _Found:
    """Of one method."""

    rounds: dict[int, tuple[float, ...]] = field(default_factory=dict)
    reached: list[int] = field(default_factory=list)
    passed: list[int] = field(default_factory=list)

    def costs(self) -> DraftCosts:
        chains = [passed / max(1, reached) for passed, reached in zip(self.passed, self.reached, strict=True)]
        before = [1.0, *chains[:-1]]
        conditional = tuple(min(1.0, now / then) if then else 0.0 for now, then in zip(chains, before, strict=True))
        return DraftCosts(conditional, self.rounds)


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
        unit = median(timed.pop("autoregressive").seconds[0])
        for method, policy in timed.items():
            own = found[method]
            lengths = range(policy.longest + 1)
            own.rounds[rows] = tuple(round(median(policy.seconds[n]) / unit, 3) for n in lengths)
            own.reached = _sum(own.reached, policy.reached)
            own.passed = _sum(own.passed, policy.passed)
    return Tuning({method: own.costs() for method, own in found.items()})


def _timed(
    model: TextToSemantic, drafting: Drafting, methods: Sequence[str], texts: list[Sequence[int]],
    options: DecodeOptions, plan: TunePlan,
) -> dict[str, TimedLengths]:  # fmt: skip
    """Round times by method, autoregressive rounds among them. The first turn of each warms up and is left out."""
    policies: dict[str, TimedLengths] = {}
    for turn in range(1 + plan.repeats):
        for method, drafter in _drafters(model, drafting, methods, options, plan):
            if turn <= 1:
                policies[method] = TimedLengths(range(drafter.longest + 1), options.batch_size)
            Engine(model, options, drafter=drafter, policy=policies[method]).decode(texts)
    return policies


def _drafters(
    model: TextToSemantic, drafting: Drafting, methods: Sequence[str], options: DecodeOptions, plan: TunePlan
) -> Iterator[tuple[str, Drafter]]:
    yield "autoregressive", Autoregressive()
    for method in methods:
        yield method, drafting.drafter(model, method, plan.longest)


def _sum(one: Sequence[int], other: Sequence[int]) -> list[int]:
    return [a + b for a, b in zip(one, other, strict=True)] if one else list(other)
