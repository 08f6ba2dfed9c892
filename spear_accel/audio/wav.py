"""Samples as plain 16-bit WAV files, the same bytes everywhere. Knows nothing about where they come from."""

from __future__ import annotations

import io
import wave

import numpy as np

__all__ = ["pcm16", "wav_bytes"]


def pcm16(samples: np.ndarray) -> bytes:
    """Float samples [n] in [-1, 1] as signed 16-bit little-endian; what lies outside is clipped."""
    scaled: np.ndarray = (np.clip(samples, -1.0, 1.0) * 32767.0).round()
    return bytes(scaled.astype("<i2").data)


def wav_bytes(samples: np.ndarray, sample_rate: int) -> bytes:
    """A whole mono WAV file of float samples [n]."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((1, 2, sample_rate, 0, "NONE", "not compressed"))
        sound.writeframes(pcm16(samples))
    return file.getvalue()
