"""Pieces of speech of one utterance: its sound with the tokens, counts, words and warnings that belong to it.

Does not know in which way tokens come or sound is asked for.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from spear_accel.acoustic import AcousticStage
from spear_accel.decoding import DecodeStats, RequestResult
from spear_accel.text.plan import PlannedUtterance
from spear_accel.timing.timer import UtteranceTimes
from spear_accel.timing.words import WordTime
from spear_accel.voice.speech import Speech, SpokenUtterance, warnings_of

__all__ = ["Doubts", "Pieces", "Times", "sound_of"]

# Whole utterances are sounded in lengths that are multiples of this: kernels and memory are kept for each length.
_SOUND_STEP = 16

Times = Callable[[PlannedUtterance, Tensor, float, float], UtteranceTimes]
"""Tells the words of an utterance from its tokens, when they begin to sound and how long they do, in seconds."""
Doubts = Callable[[PlannedUtterance, Tensor], str | None]
"""Tells what speaks against an utterance, from its tokens."""


def sound_of(stage: AcousticStage, tokens: Tensor, speed: float) -> Tensor:
    """float32 [samples] on the CPU of the tokens int64 [n] of one whole utterance; silent where there are none.

    One at a time: a convolutional stage gains little from a batch, and its memory grows with every padded row.
    """
    if not len(tokens):
        return torch.zeros(0)
    padded = F.pad(tokens, (0, -len(tokens) % _SOUND_STEP))
    waveforms, samples = stage(padded[None], torch.tensor([len(tokens)]), speed)
    return waveforms[0, : int(samples[0])].float().cpu()


class Pieces:
    """Makes the pieces of one utterance: any number from its middle, then the last."""

    def __init__(
        self,
        planned: PlannedUtterance,
        stage: AcousticStage,
        speed: float,
        samples: int = 0,
        times: Times | None = None,
        doubts: Doubts | None = None,
    ) -> None:
        """Of an utterance that begins behind so many samples. Without `times` its pieces have no words, and without
        `doubts` nobody looks whether it says its text."""
        self.planned, self.stage, self.speed, self.times, self.doubts = planned, stage, speed, times, doubts
        self.samples = samples
        """Samples made so far, those of earlier utterances included."""
        self._silence = torch.zeros(round(planned.pause / speed * stage.sample_rate))
        self._first_sample = samples + len(self._silence)
        self._new: list[Tensor] = []

    def take(self, tokens: Tensor) -> None:
        """Take in tokens int64 [n]; they belong to the next piece."""
        self._new.append(tokens)

    def middle(self, waveform: Tensor) -> Speech:
        """A piece with the tokens taken in since the last one, and no utterance."""
        tokens = torch.cat([torch.zeros(0, dtype=torch.int64), *self._new])
        waveform = torch.cat([self._silence, waveform])
        self._new, self._silence = [], self._silence[:0]
        self.samples += len(waveform)
        return Speech(waveform, self.stage.sample_rate, tokens, (), DecodeStats(0, 0, 0, 0, 0, 0.0))

    def last(self, waveform: Tensor, end: RequestResult) -> Speech:
        """The piece that ends the utterance."""
        piece, rate = self.middle(waveform), self.stage.sample_rate
        doubt = self.doubts(self.planned, end.tokens) if self.doubts and end.stop_reason == "eos" else None
        said = SpokenUtterance(self.planned.text, end.tokens, end.stop_reason, end.seed, doubt)
        warnings, words = warnings_of(self.planned, said), tuple[WordTime, ...]()
        if self.times is not None:
            start, seconds = self._first_sample / rate, (self.samples - self._first_sample) / rate
            timed = self.times(self.planned, end.tokens, start, seconds)
            words, warnings = timed.words, (*warnings, *timed.warnings)
        return Speech(piece.waveform, rate, piece.tokens, (said,), end.stats, warnings, words)
