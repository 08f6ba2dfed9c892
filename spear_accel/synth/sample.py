"""One item of a dataset, and its record as a row of a table. Knows no format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from spear_accel.audio.writer import sound_bytes

__all__ = ["Sample", "as_row"]


@dataclass(frozen=True)
class Sample:
    """One item of a dataset: what a line says, and its sound."""

    id: str
    tokens: np.ndarray
    """int64 [n]."""
    waveform: np.ndarray | None = None
    """float32 [m]; None if only tokens are wanted."""
    sample_rate: int | None = None

    @property
    def seconds(self) -> float | None:
        """Length of the sound, if there is one."""
        return None if self.waveform is None or self.sample_rate is None else len(self.waveform) / self.sample_rate

    @property
    def sound(self) -> bytes | None:
        """The waveform as a WAV file, if there is one."""
        if self.waveform is None or self.sample_rate is None:
            return None
        return sound_bytes(self.waveform, self.sample_rate)


def as_row(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record whose every field has one type in all rows: warnings as one text.

    `datasets` cannot tell the type of a list if the first rows hold only empty ones.
    """
    return {**record, "warnings": "; ".join(record.get("warnings", ()))}
