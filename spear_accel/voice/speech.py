"""What speaking gives: sound with the words and tokens behind it. Knows nothing about how either is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from spear_accel.decoding import DecodeStats
from spear_accel.text.plan import PlannedUtterance
from spear_accel.timing import WordTime


@dataclass(frozen=True)
class SpokenUtterance:
    """One stretch of text that was decoded by itself."""

    text: str
    """Normalised."""
    tokens: Tensor
    """int64 [n], without start and EOS."""
    stop_reason: str
    """"eos", "max_length", "loop", or "error"."""
    seed: int
    """Differs from the one asked for where the utterance was decoded again."""
    doubt: str | None = None
    """Words of its text that it skips or repeats; None if there are none, or if nobody looked."""


@dataclass(frozen=True)
class Speech:
    """Sound and where it came from."""

    waveform: Tensor
    """float32 [samples] in [-1, 1], on the CPU."""
    sample_rate: int
    tokens: Tensor
    """int64 [n], the tokens of all utterances in a row; of a streamed piece, those that came since the last piece."""
    utterances: tuple[SpokenUtterance, ...]
    """Those that end here: none in a streamed piece from the middle of an utterance."""
    stats: DecodeStats
    """Counts of the decoding; of a streamed piece, those of the utterances that end here."""
    warnings: tuple[str, ...] = ()
    """What was left out or cut off, a line each."""
    words: tuple[WordTime, ...] = ()
    """When each written word is said, where `words=True` asked for it: seconds from the beginning of the whole speech.
    A streamed piece holds those of the utterances that end in it."""

    @property
    def seconds(self) -> float:
        return len(self.waveform) / self.sample_rate


def join(parts: Sequence[Speech], stats: Sequence[DecodeStats]) -> Speech:
    """Speech in a row as one; `stats` are those of the calls that decoded it. Needs at least one part."""
    return Speech(
        waveform=torch.cat([part.waveform for part in parts]),
        sample_rate=parts[0].sample_rate,
        tokens=torch.cat([part.tokens for part in parts]),
        utterances=tuple(utterance for part in parts for utterance in part.utterances),
        stats=DecodeStats.total(stats),
        warnings=tuple(line for part in parts for line in part.warnings),
        words=tuple(word for part in parts for word in part.words),
    )


def is_broken(tokens: Sequence[Tensor], stop_reasons: Sequence[str]) -> bool:
    """Whether every utterance stopped with an error before it said anything."""
    rows = zip(tokens, stop_reasons, strict=True)
    return all(reason == "error" and not len(said) for said, reason in rows)


def warnings_of(planned: PlannedUtterance, said: SpokenUtterance) -> tuple[str, ...]:
    """What reading the text left out, and whether speaking it was cut off."""
    if said.stop_reason == "eos" and len(said.tokens):
        if said.doubt is None:
            return planned.warnings
        return (*planned.warnings, f"{said.doubt} in {planned.text[:60]!r}; try another seed")
    fault = "cut off" if len(said.tokens) else "said nothing for"
    return (*planned.warnings, f"{fault} {planned.text[:60]!r} ({said.stop_reason}); try another seed")
