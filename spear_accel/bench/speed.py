"""Runs the same texts with the same seeds by every method and keeps what the engine counted and timed.

Does not know how the figures are compared or shown. The clock is the engine's own (`DecodeStats.wall_seconds`): from
text ids to tokens on the host, without loading, text normalisation or sound.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from spear_accel.decoding import DecodeOptions, DecodeResult


class Decodes(Protocol):
    """What a benchmark asks of a `Voice`."""

    def text_to_semantic(self, texts: Sequence[str], options: DecodeOptions | None = None) -> DecodeResult:
        """See `Voice.text_to_semantic`."""


@dataclass(frozen=True)
class Case:
    """One way to decode."""

    method: str
    verify: str
    draft_length: int | Literal["auto"]

    def __str__(self) -> str:
        return f"{self.method}, {self.verify}, draft length {self.draft_length}"

    def options(self, base: DecodeOptions, batch_size: int) -> DecodeOptions:
        """`base` decoded this way. Raises UserError where the method, the rule or the length is unknown."""
        return replace(
            base, method=self.method, verify=self.verify, draft_length=self.draft_length, batch_size=batch_size
        )


AUTOREGRESSIVE = Case("autoregressive", "coupled", 0)
"""What every other case is compared with. It drafts nothing, so rules and draft lengths do not change it."""


@dataclass(frozen=True)
class Run:
    """One timed decoding of all texts."""

    case: Case
    batch_size: int
    result: DecodeResult

    @property
    def seconds(self) -> float:
        return self.result.stats.wall_seconds


def make_cases(
    methods: Sequence[str], rules: Sequence[str], draft_lengths: Sequence[int | Literal["auto"]]
) -> list[Case]:
    """Every combination once, autoregressive decoding first whether it is asked for or not."""
    combined = [
        Case(method, rule, length)
        for method in methods if method != AUTOREGRESSIVE.method
        for rule in rules
        for length in draft_lengths
    ]  # fmt: skip
    return list(dict.fromkeys([AUTOREGRESSIVE, *combined]))


def measure(
    voice: Decodes,
    texts: Sequence[str],
    cases: Sequence[Case],
    batch_sizes: Sequence[int],
    base: DecodeOptions,
    repeats: int,
) -> Iterator[Run]:
    """All runs, one at a time: for each batch size `repeats` rounds in which every case takes its turn.

    Turns are interleaved so that a machine that slows down or speeds up does so for all cases alike. Before the first
    round of a batch size every case decodes one full batch that is not timed.

    Raises:
        UserError: An option is out of range (all are checked first), or the voice cannot decode in one of these ways.
    """
    for case in cases:
        case.options(base, max(batch_sizes))
    return _runs(voice, texts, cases, batch_sizes, base, repeats)


def _runs(
    voice: Decodes,
    texts: Sequence[str],
    cases: Sequence[Case],
    batch_sizes: Sequence[int],
    base: DecodeOptions,
    repeats: int,
) -> Iterator[Run]:
    for batch_size in batch_sizes:
        chosen = {case: case.options(base, batch_size) for case in cases}
        for options in chosen.values():
            voice.text_to_semantic(texts[:batch_size], options)
        for _ in range(repeats):
            for case, options in chosen.items():
                yield Run(case, batch_size, voice.text_to_semantic(texts, options))
