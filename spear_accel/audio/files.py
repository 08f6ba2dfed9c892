"""Audio files to waveforms: any format that libsndfile reads, mono, at the rate that is asked for.

Knows files and sample rates. Does not know what the waveform is for.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor

from spear_accel.errors import UserError
from spear_accel.storage.files import shown

__all__ = ["read_audio", "resample"]

_LARGEST_TERM = 1200
_LARGEST_RATIO = 64


def read_audio(path: Path | str, sample_rate: int) -> Tensor:
    """Read a file as mono float32 in [-1, 1], resampled to `sample_rate` Hz; channels are averaged.

    Returns:
        Waveform [samples].

    Raises:
        UserError: The file is missing, is not audio, or has no samples.
    """
    try:
        if not Path(path).is_file():
            raise UserError(f"{shown(path)}: no such file")
        # By descriptor: libsndfile takes no name that is not UTF-8, and would take the ending ".raw" for a format.
        with open(path, "rb") as file:
            samples, rate = soundfile.read(file, dtype="float32", always_2d=True)
    except OSError as error:
        raise UserError(f"{shown(path)}: cannot read ({error.strerror or error})") from error
    except (soundfile.SoundFileError, TypeError) as error:
        raise UserError(f"{shown(path)}: not an audio file that libsndfile reads; convert it to WAV or FLAC") from error
    if len(samples) == 0:
        raise UserError(f"{shown(path)}: holds no samples; record it again or leave it out")
    if not np.isfinite(samples).all():
        raise UserError(f"{shown(path)}: holds samples that are not finite numbers; export it again")
    return resample(torch.from_numpy(samples.mean(axis=1)), rate, sample_rate)


def resample(waveform: Tensor, source_rate: int, target_rate: int) -> Tensor:
    """Band-limited resampling of `waveform` [samples] from `source_rate` to `target_rate` Hz."""
    if source_rate == target_rate:
        return waveform
    target_rate, source_rate = _small_ratio(target_rate, source_rate)
    from torchaudio.functional import resample as band_limited  # costs a second to import, so only where it is needed

    resampled: Tensor = band_limited(waveform, source_rate, target_rate)
    return resampled


def _small_ratio(target_rate: int, source_rate: int) -> tuple[int, int]:
    """Both rates divided by what they have in common, or the nearest ratio of small numbers.

    The filter has as many coefficients as the product of the two, which for 44,101 Hz would fill gigabytes. A rate that
    people use (11,025 Hz, 44,100 Hz) is met exactly, any other to one part in 14,000.

    Raises:
        UserError: No recording has such a rate.
    """
    ratio = Fraction(target_rate, source_rate).limit_denominator(_LARGEST_TERM)
    if not 1 / _LARGEST_RATIO <= ratio <= _LARGEST_RATIO:
        raise UserError(f"a rate of {source_rate} Hz is none of speech; export the recording at 16,000 Hz or above")
    return ratio.numerator, ratio.denominator
