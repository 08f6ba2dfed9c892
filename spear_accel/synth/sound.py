"""The sound of a decoded line, and when its words are said. Knows no records and no files."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from spear_accel.synth.line_job import LineJob
from spear_accel.timing.timer import WordTimer
from spear_accel.timing.words import WordTime
from spear_accel.voice.voice import Voice

__all__ = ["LineSound", "sound_of_line"]


@dataclass(frozen=True)
class LineSound:
    """A line as it sounds."""

    waveform: Tensor
    """float32 [samples]."""
    words: list[WordTime] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    """Why the times of words are not known, a line for each such utterance."""


def sound_of_line(voice: Voice, job: LineJob, words: bool) -> LineSound:
    """The sound of a line that has no fault, with the times of its words if they are wanted."""
    timer, rate, speed = WordTimer(voice.model, voice.tokenizer), voice.sample_rate, job.line.speed
    pieces: list[Tensor] = []
    sound, samples = LineSound(torch.zeros(0)), 0
    for utterance, attempt, tokens in zip(job.utterances, job.kept, job.tokens, strict=True):
        piece = voice.sound([utterance.planned], [tokens], speed)
        if words:
            silent = round(utterance.planned.pause / speed * rate)
            start, seconds = (samples + silent) / rate, (len(piece) - silent) / rate
            timed = timer.times(job.line.said, utterance.planned, tokens, start, seconds, attempt.score)
            sound.words.extend(timed.words)
            sound.warnings.extend(timed.warnings)
        pieces.append(piece)
        samples += len(piece)
    return LineSound(torch.cat(pieces), sound.words, sound.warnings)
