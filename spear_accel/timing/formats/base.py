"""What every format is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spear_accel.timing.words import WordTime

__all__ = ["Transcript"]


@dataclass(frozen=True)
class Transcript:
    """A text that was spoken, and when."""

    text: str
    """As it was written."""
    words: Sequence[WordTime]
    seconds: float
    """Length of the sound."""
    name: str
    """Of the sound, without an ending."""
