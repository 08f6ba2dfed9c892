"""Speech of whole utterances: groups are decoded, then each utterance is sounded by itself.

Joins what decodes and what sounds, as `streaming` does for utterances that grow. Knows neither models nor ids of text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from torch import Tensor

from spear_accel.acoustic import AcousticStage
from spear_accel.decoding import DecodeResult, DecodeStats
from spear_accel.text.plan import PlannedUtterance
from spear_accel.timing.timer import UtteranceTimes
from spear_accel.voice.checked import Decoded
from spear_accel.voice.pieces import Times, sound_of
from spear_accel.voice.speech import Speech, SpokenUtterance, warnings_of
from spear_accel.voice.streaming import groups

__all__ = ["sound_with_pause", "speak_whole"]


def speak_whole(
    planned: Iterable[PlannedUtterance],
    decode: Callable[[Sequence[PlannedUtterance]], Decoded],
    stage: AcousticStage,
    speed: float,
    batch: int,
    times: Times | None = None,
) -> Iterator[tuple[list[Speech], DecodeResult]]:
    """One Speech per utterance, decoded in groups of up to `batch`; and what each group was made of.

    Without `times` no speech has words.
    """
    samples = 0
    for group in groups(planned, (batch,)):
        result, doubts = decode(group)
        spoken = []
        for one, ended, doubt in zip(group, result.results(), doubts, strict=True):
            said = SpokenUtterance(one.text, ended.tokens, ended.stop_reason, ended.seed, doubt)
            spoken.append(_speech(one, said, ended.stats, stage, speed, times, samples))
            samples += len(spoken[-1].waveform)
        yield spoken, result


def sound_with_pause(stage: AcousticStage, one: PlannedUtterance, tokens: Tensor, speed: float) -> Tensor:
    """float32 [samples] of the tokens int64 [n] of an utterance, the silence in front of it included."""
    silence = torch.zeros(_silent_samples(stage, one, speed))
    return torch.cat([silence, sound_of(stage, tokens, speed)])


def _silent_samples(stage: AcousticStage, one: PlannedUtterance, speed: float) -> int:
    return round(one.pause / speed * stage.sample_rate)


def _speech(
    one: PlannedUtterance,
    said: SpokenUtterance,
    stats: DecodeStats,
    stage: AcousticStage,
    speed: float,
    times: Times | None,
    first_sample: int,
) -> Speech:
    """first_sample: of the silence in front of the utterance, in the whole speech."""
    waveform, rate = sound_with_pause(stage, one, said.tokens, speed), stage.sample_rate
    timed = UtteranceTimes(())
    if times is not None:
        silent = _silent_samples(stage, one, speed)
        timed = times(one, said.tokens, (first_sample + silent) / rate, (len(waveform) - silent) / rate)
    return Speech(
        waveform=waveform,
        sample_rate=rate,
        tokens=said.tokens,
        utterances=(said,),
        stats=stats,
        warnings=(*warnings_of(one, said), *timed.warnings),
        words=timed.words,
    )
