"""Sound while tokens are still being decoded: pieces of speech, the first one early.

Joins what decodes (utterances that grow) and what sounds (an acoustic stage), one step of either at a time and in one
thread. Knows neither models nor ids of text; `Voice.stream` puts the two together.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import chain, islice

import torch
import torch.nn.functional as F
from torch import Tensor

from spear_accel.acoustic import AcousticStage
from spear_accel.decoding import DecodeStats, RequestOutput, RequestResult
from spear_accel.text.plan import PlannedUtterance
from spear_accel.timing.timer import UtteranceTimes
from spear_accel.timing.words import WordTime
from spear_accel.voice.speech import Speech, SpokenUtterance, warnings_of

__all__ = ["CHUNKS", "groups", "sound_of", "stream"]

# Least tokens handed to the acoustic stage at a time, the last number repeated: the first sound comes early, and later
# ones cost little context.
CHUNKS = (25, 50, 100, 200)

# Utterances decoded together, then as many as fit: rows of a small batch grow quickly, and behind a short first
# sentence the next sound must come soon.
_FIRST_GROUPS = (1, 4)

# Whole utterances are sounded in lengths that are multiples of this: kernels and memory are kept for each length.
_SOUND_STEP = 16

Decode = Callable[[Sequence[PlannedUtterance]], Generator[RequestOutput, None, None]]
"""Decodes utterances as one batch and hands them over in order, in growing chunks."""


Times = Callable[[PlannedUtterance, Tensor, float, float], UtteranceTimes]
"""Tells the words of an utterance from its tokens, when they begin to sound and how long they do, in seconds."""


def stream(
    planned: Iterable[PlannedUtterance],
    decode: Decode,
    stage: AcousticStage,
    speed: float,
    batch: int,
    times: Times | None = None,
) -> Iterator[Speech]:
    """Speech in pieces, in order. The first utterance is decoded alone, then four together, the others by `batch`.

    A piece from the middle of an utterance has no `utterances`, no warnings, no words and no counts; the piece that
    ends it has them all. At most `batch` utterances' tokens are in memory, and of sound what the stage keeps as
    context. Without `times` no piece has words.
    """
    samples = 0
    for group in groups(planned, [min(size, batch) for size in (*_FIRST_GROUPS, batch)]):
        with closing(decode(group)) as outputs:
            for one in group:
                voicing = _Voicing(one, outputs, stage, speed, samples, times)
                yield from voicing.pieces()
                samples = voicing.samples


def groups(planned: Iterable[PlannedUtterance], sizes: Sequence[int]) -> Iterator[list[PlannedUtterance]]:
    """Utterances in groups of `sizes`, the last size repeated."""
    remaining = iter(planned)
    for size in chain(sizes[:-1], iter(lambda: sizes[-1], None)):
        group = list(islice(remaining, size))
        if not group:
            return
        yield group


def sound_of(stage: AcousticStage, tokens: Tensor, speed: float) -> Tensor:
    """float32 [samples] on the CPU of the tokens int64 [n] of one whole utterance; silent where there are none.

    One at a time: a convolutional stage gains little from a batch, and its memory grows with every padded row.
    """
    if not len(tokens):
        return torch.zeros(0)
    padded = F.pad(tokens, (0, -len(tokens) % _SOUND_STEP))
    waveforms, samples = stage(padded[None], torch.tensor([len(tokens)]), speed)
    return waveforms[0, : int(samples[0])].float().cpu()


class _Voicing:
    """One utterance on its way from growing tokens to pieces of sound."""

    def __init__(
        self,
        planned: PlannedUtterance,
        outputs: Iterator[RequestOutput],
        stage: AcousticStage,
        speed: float,
        samples: int = 0,
        times: Times | None = None,
    ) -> None:
        """Of an utterance that begins behind so many samples; see `stream` for the rest.

        outputs: taken from up to the end of this utterance, and no further.
        """
        self.planned, self.outputs, self.stage, self.speed = planned, outputs, stage, speed
        self.silence = torch.zeros(round(planned.pause / speed * stage.sample_rate))
        self.samples, self.times = samples, times
        """Samples made so far, those of earlier utterances included."""
        self.first_sample = samples + len(self.silence)
        self.new: list[Tensor] = []
        self.end: RequestResult | None = None

    def pieces(self) -> Iterator[Speech]:
        """At once while tokens are to come; what sounds behind the last of them is one piece."""
        behind = [torch.zeros(0)]
        for waveform in self._waveforms():
            if self.end is None:
                yield self._piece(waveform)
            else:
                behind.append(waveform)
        yield self._last_piece(torch.cat(behind))

    def _waveforms(self) -> Iterator[Tensor]:
        chunks = self._chunks()
        first = next(chunks)
        if self.end is not None:
            # Complete before it sounds: whole, it costs no context.
            yield sound_of(self.stage, first, self.speed)
            return
        for waveform in self.stage.stream(chain([first], chunks), self.speed):
            yield waveform.float().cpu()
        # A stage that stops early must not leave tokens to the next utterance.
        for _ in chunks:
            pass

    def _chunks(self) -> Iterator[Tensor]:
        """int64 [n] each, to the end of the utterance; n may be 0 only there."""
        while self.end is None:
            output = next(self.outputs)
            self.new.append(output.new_tokens)
            self.end = output.result
            yield output.new_tokens

    def _piece(self, waveform: Tensor) -> Speech:
        """A piece from the middle, with the tokens taken in since the last one."""
        tokens = torch.cat([torch.zeros(0, dtype=torch.int64), *self.new])
        waveform = torch.cat([self.silence, waveform])
        self.new, self.silence = [], self.silence[:0]
        self.samples += len(waveform)
        return Speech(waveform, self.stage.sample_rate, tokens, (), DecodeStats(0, 0, 0, 0, 0, 0.0))

    def _last_piece(self, waveform: Tensor) -> Speech:
        piece, end = self._piece(waveform), self.end
        assert end is not None
        said = SpokenUtterance(self.planned.text, end.tokens, end.stop_reason, end.seed)
        warnings, words = warnings_of(self.planned, said), tuple[WordTime, ...]()
        if self.times is not None:
            rate = self.stage.sample_rate
            timed = self.times(
                self.planned, end.tokens, self.first_sample / rate, (self.samples - self.first_sample) / rate
            )
            words, warnings = timed.words, (*warnings, *timed.warnings)
        return Speech(piece.waveform, piece.sample_rate, piece.tokens, (said,), end.stats, warnings, words)
