"""Sound files of a dataset, one for each sample."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from spear_accel.storage import files
from spear_accel.synth.sample import Sample

__all__ = ["Sounds"]


class Sounds:
    """`HOME/ID.wav`, for formats that describe sound files."""

    def __init__(self, folder: Path, home: str) -> None:
        self.folder, self.home = folder, home
        files.make_folder(folder / home, "choose another -o")

    def write(self, sample: Sample) -> dict[str, Any]:
        """Writes the sound, whole or not at all; returns its path, relative to the folder."""
        assert sample.sound is not None
        name = f"{self.home}/{sample.id}.wav"
        files.write_bytes(self.folder / name, sample.sound)
        return {"audio_filepath": name}
