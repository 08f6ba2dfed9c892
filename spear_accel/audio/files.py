"""Audio files to waveforms: any format that libsndfile reads, mono, at the rate that is asked for.

Knows files and sample rates. Does not know what the waveform is for.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor

from spear_accel.errors import UserError

__all__ = ["read_audio", "resample"]


def read_audio(path: Path | str, sample_rate: int) -> Tensor:
    """Read a file as mono float32 in [-1, 1], resampled to `sample_rate` Hz; channels are averaged.

    Returns:
        Waveform [samples].

    Raises:
        UserError: The file is missing, is not audio, or has no samples.
    """
    if not Path(path).is_file():
        raise UserError(f"{path}: no such file")
    try:
        samples, rate = soundfile.read(str(path), dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError) as error:
        raise UserError(f"{path}: not an audio file that libsndfile reads; convert it to WAV or FLAC") from error
    if len(samples) == 0:
        raise UserError(f"{path}: holds no samples; record it again or leave it out")
    if not np.isfinite(samples).all():
        raise UserError(f"{path}: holds samples that are not finite numbers; export it again")
    return resample(torch.from_numpy(samples.mean(axis=1)), rate, sample_rate)


def resample(waveform: Tensor, source_rate: int, target_rate: int) -> Tensor:
    """Band-limited resampling of `waveform` [samples] from `source_rate` to `target_rate` Hz."""
    if source_rate == target_rate:
        return waveform
    from torchaudio.functional import resample as band_limited  # costs a second to import, so only where it is needed

    resampled: Tensor = band_limited(waveform, source_rate, target_rate)
    return resampled
