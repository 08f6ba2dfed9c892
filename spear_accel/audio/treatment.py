"""What is done to a finished sound before it is written: its sample rate, then its loudness.

Knows samples. Does not know where they come from or go to.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import soxr
import torch
import torchaudio.functional

from spear_accel.checks import number, settle, whole
from spear_accel.errors import UserError

__all__ = ["Sink", "Treatment", "levelled"]

LOWEST_RATE, HIGHEST_RATE = 4000, 192_000
_SHORTEST = 0.4
"""Seconds that the standard measures at a time; less sound is repeated until it is as long."""
_HIGHEST_PEAK = 10 ** (-1 / 20)
"""One decibel below full scale, so that no encoder clips."""


class Sink(Protocol):
    """Takes float32 samples [n] in [-1, 1], piece by piece."""

    def write(self, samples: np.ndarray) -> None: ...


@dataclass(frozen=True)
class Treatment:
    """What is wanted; None leaves the sound as it is."""

    sample_rate: int | None = None
    """In Hz."""
    loudness: float | None = None
    """Integrated loudness by ITU-R BS.1770-4, in LUFS: -23 is what European broadcasters ask for."""

    def __post_init__(self) -> None:
        if self.sample_rate is not None:
            rate = whole("--sample-rate", self.sample_rate, LOWEST_RATE)
            if rate > HIGHEST_RATE:
                raise UserError(f"--sample-rate {rate}: at most {HIGHEST_RATE}")
            settle(self, sample_rate=rate)
        if self.loudness is not None:
            settle(self, loudness=number("--loudness", self.loudness, -70.0, -5.0))

    def rate(self, sample_rate: int) -> int:
        """Of what comes out, in Hz."""
        return self.sample_rate or sample_rate

    def whole(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        """A whole sound float32 [n], treated."""
        if self.rate(sample_rate) != sample_rate and len(samples):
            samples = soxr.resample(samples, sample_rate, self.rate(sample_rate))
        # Of what is heard: a lower rate takes away what was loud above it.
        return samples if self.loudness is None else levelled(samples, self.rate(sample_rate), self.loudness)

    @contextmanager
    def onto(self, sink: Sink, sample_rate: int) -> Iterator[Sink]:
        """A sink in front of another. Loudness is known at the end alone: then the sound is kept until there."""
        kept = _Kept() if self.loudness is not None else None
        if kept is not None:
            yield kept
            sink.write(self.whole(kept.samples, sample_rate))
        elif self.rate(sample_rate) == sample_rate:
            yield sink
        else:
            resampled = _Resampled(sink, sample_rate, self.rate(sample_rate))
            yield resampled
            resampled.finish()


def levelled(samples: np.ndarray, sample_rate: int, target: float) -> np.ndarray:
    """A sound float32 [n] at a loudness of `target` LUFS, or as near as its peaks allow; silence stays as it is."""
    heard = np.resize(samples, max(len(samples), math.ceil(_SHORTEST * sample_rate))) if len(samples) else samples
    if not len(heard):
        return samples
    measured = float(torchaudio.functional.loudness(torch.from_numpy(heard)[None], sample_rate))
    if not math.isfinite(measured):
        return samples
    gain = min(10 ** ((target - measured) / 20), _HIGHEST_PEAK / max(1e-9, float(np.abs(samples).max())))
    scaled: np.ndarray = (samples * gain).astype(np.float32)
    return scaled


class _Kept:
    """Keeps all samples."""

    def __init__(self) -> None:
        self._pieces: list[np.ndarray] = []

    def write(self, samples: np.ndarray) -> None:
        self._pieces.append(samples)

    @property
    def samples(self) -> np.ndarray:
        return np.concatenate([np.zeros(0, np.float32), *self._pieces])


class _Resampled:
    """Hands samples on at another rate."""

    def __init__(self, sink: Sink, sample_rate: int, wanted: int) -> None:
        self._sink, self._stream = sink, soxr.ResampleStream(sample_rate, wanted, 1, dtype="float32")

    def write(self, samples: np.ndarray) -> None:
        self._sink.write(self._stream.resample_chunk(samples))

    def finish(self) -> None:
        """What the filter still holds."""
        self._sink.write(self._stream.resample_chunk(np.zeros(0, np.float32), last=True))
