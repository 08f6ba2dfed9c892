"""Sound as judges hear it: mono, 16 kHz, all utterances at one level. Knows samples and files, not who listens."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spear_accel.audio.files import read_audio

__all__ = ["LEVEL", "RATE", "levelled", "listen"]

RATE = 16_000
LEVEL = 10 ** (-26 / 20)
"""RMS that every utterance is brought to, so that loudness plays no part in a comparison."""


def listen(path: Path | str) -> np.ndarray:
    """Float32 samples [n] of a file.

    Raises:
        UserError: The file is missing or is not audio.
    """
    return levelled(read_audio(path, RATE).numpy())


def levelled(samples: np.ndarray) -> np.ndarray:
    """Samples [n] at 16 kHz brought to `LEVEL`; silence stays silence."""
    level = max(1e-6, float(np.sqrt(np.mean(np.square(samples)))))
    return np.clip(samples * (LEVEL / level), -1, 1).astype(np.float32)
