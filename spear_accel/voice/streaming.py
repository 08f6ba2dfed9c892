"""Sound while tokens are still being decoded: pieces of speech, the first one early.

Joins what decodes (utterances that grow) and what sounds (an acoustic stage), one step of either at a time and in one
thread. Knows neither models nor ids of text; `Voice.stream` puts the two together.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import chain, islice

import torch
from torch import Tensor

from spear_accel.acoustic import AcousticStage
from spear_accel.decoding import RequestOutput, RequestResult
from spear_accel.text.plan import PlannedUtterance
from spear_accel.voice.pieces import Doubts, Pieces, Times, sound_of
from spear_accel.voice.speech import Speech

__all__ = ["CHUNKS", "groups", "stream"]

# Least tokens handed to the acoustic stage at a time, the last number repeated: the first sound comes early, and later
# ones cost little context.
CHUNKS = (25, 50, 100, 200)

# Utterances decoded together, then as many as fit: rows of a small batch grow quickly, and behind a short first
# sentence the next sound must come soon.
_FIRST_GROUPS = (1, 4)

Decode = Callable[[Sequence[PlannedUtterance]], Generator[RequestOutput, None, None]]
"""Decodes utterances as one batch and hands them over in order, in growing chunks."""


def stream(
    planned: Iterable[PlannedUtterance],
    decode: Decode,
    stage: AcousticStage,
    speed: float,
    batch: int,
    times: Times | None = None,
    doubts: Doubts | None = None,
) -> Iterator[Speech]:
    """Speech in pieces, in order. The first utterance is decoded alone, then four together, the others by `batch`.

    A piece from the middle of an utterance has no `utterances`, no warnings, no words and no counts; the piece that
    ends it has them all. At most `batch` utterances' tokens are in memory, and of sound what the stage keeps as
    context. Without `times` no piece has words; without `doubts` nobody looks whether an utterance says its text.
    """
    samples = 0
    for group in groups(planned, [min(size, batch) for size in (*_FIRST_GROUPS, batch)]):
        with closing(decode(group)) as outputs:
            for one in group:
                pieces = Pieces(one, stage, speed, samples, times, doubts)
                yield from _Voicing(outputs, pieces).speech()
                samples = pieces.samples


def groups(planned: Iterable[PlannedUtterance], sizes: Sequence[int]) -> Iterator[list[PlannedUtterance]]:
    """Utterances in groups of `sizes`, the last size repeated."""
    remaining = iter(planned)
    for size in chain(sizes[:-1], iter(lambda: sizes[-1], None)):
        group = list(islice(remaining, size))
        if not group:
            return
        yield group


class _Voicing:
    """One utterance on its way from growing tokens to pieces of sound."""

    def __init__(self, outputs: Iterator[RequestOutput], pieces: Pieces) -> None:
        """outputs: taken from up to the end of this utterance, and no further."""
        self.outputs, self.pieces = outputs, pieces
        self.end: RequestResult | None = None

    def speech(self) -> Iterator[Speech]:
        """At once while tokens are to come; what sounds behind the last of them is one piece."""
        behind = [torch.zeros(0)]
        for waveform in self._waveforms():
            if self.end is None:
                yield self.pieces.middle(waveform)
            else:
                behind.append(waveform)
        assert self.end is not None
        yield self.pieces.last(torch.cat(behind), self.end)

    def _waveforms(self) -> Iterator[Tensor]:
        chunks, stage, speed = self._chunks(), self.pieces.stage, self.pieces.speed
        first = next(chunks)
        if self.end is not None:
            # Complete before it sounds: whole, it costs no context.
            yield sound_of(stage, first, speed)
            return
        for waveform in stage.stream(chain([first], chunks), speed):
            yield waveform.float().cpu()
        # A stage that stops early must not leave tokens to the next utterance.
        for _ in chunks:
            pass

    def _chunks(self) -> Iterator[Tensor]:
        """int64 [n] each, to the end of the utterance; n may be 0 only there."""
        while self.end is None:
            output = next(self.outputs)
            self.pieces.take(output.new_tokens)
            self.end = output.result
            yield output.new_tokens
