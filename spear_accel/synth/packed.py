"""Formats whose files hold many samples each. Knows the parts of samples, and no file format.

Parts lie in a folder of their own until all samples are made; then they are packed and deleted. A run that makes more
samples of a packed dataset (lines that had failed) takes out what was packed before: the new ones may come in between.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from spear_accel.storage import files
from spear_accel.synth.sample import Sample

__all__ = ["SHARD_SIZE", "Packed", "Record"]

_ADVICE = "choose another -o"
SHARD_SIZE = 1000
"""Samples of one file."""
Record = dict[str, Any]


class Packed(ABC):
    """A `Writer` that packs at the end; a subclass says how."""

    def __init__(self, folder: Path, home: str) -> None:
        """home: folder of the packed files, in the dataset's folder."""
        self.folder, self.home, self.parts = folder, folder / home, folder / ".parts"
        files.make_folder(self.home, _ADVICE)
        files.make_folder(self.parts, _ADVICE)

    def write(self, sample: Sample) -> Record:
        """Keeps the parts of a sample, each whole or not at all."""
        for ending, data in self.contents(sample):
            files.write_bytes(self.part(sample.id, ending), data)
        return {}

    def finish(self, records: Iterable[Record]) -> None:
        """Packs, unless nothing has been made since the last time."""
        if any(self.parts.iterdir()):
            for name, data in self.packed():
                if not (self.parts / name).exists():
                    files.write_bytes(self.parts / name, data)
            made = set(self.pack(records))
            for path in self.home.iterdir():
                # Files of an earlier run, which had fewer samples or other numbers.
                if path.name not in made and files.PART not in path.name:
                    path.unlink()
        for path in self.parts.iterdir():
            path.unlink()
        self.parts.rmdir()

    def part(self, id: str, ending: str) -> Path:
        """Where a part of a sample is kept."""
        return self.parts / f"{id}.{ending}"

    @abstractmethod
    def contents(self, sample: Sample) -> Iterator[tuple[str, bytes]]:
        """Ending and bytes of each part of a sample."""

    @abstractmethod
    def packed(self) -> Iterator[tuple[str, bytes]]:
        """Name, as in the folder of parts, and bytes of each part that an earlier run has packed."""

    @abstractmethod
    def pack(self, records: Iterable[Record]) -> Iterator[str]:
        """Writes the packed files, each whole or not at all; gives their names."""
