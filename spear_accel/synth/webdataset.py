"""The format WebDataset: tars of samples."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import count, islice
from pathlib import Path

import numpy as np

from spear_accel.storage import files
from spear_accel.synth.packed import SHARD_SIZE, Packed, Record
from spear_accel.synth.sample import Sample, as_row

__all__ = ["WebDataset"]


class WebDataset(Packed):
    """`shards/NNNNNN.tar` with `ID.json`, `ID.npy` and, with sound, `ID.wav`.

    Readers of WebDataset take a name up to its first dot for the sample's, so dots of an id are written as `%2E`.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "shards")

    def contents(self, sample: Sample) -> Iterator[tuple[str, bytes]]:
        array = io.BytesIO()
        np.save(array, sample.tokens)
        yield "npy", array.getvalue()
        if (sound := sample.sound) is not None:
            yield "wav", sound

    def part(self, id: str, ending: str) -> Path:
        return super().part(_key(id), ending)

    def packed(self) -> Iterator[tuple[str, bytes]]:
        for shard in sorted(self.home.glob("*.tar")):
            with tarfile.open(shard) as tar:
                for member in tar:
                    held = tar.extractfile(member)
                    if not member.name.endswith(".json") and held is not None:
                        yield member.name, held.read()

    def pack(self, records: Iterable[Record]) -> Iterator[str]:
        remaining, numbers = iter(records), count()
        while shard := list(islice(remaining, SHARD_SIZE)):
            target = self.home / f"{next(numbers):06d}.tar"
            self._pack(target, shard)
            yield target.name

    def _pack(self, target: Path, records: Sequence[Record]) -> None:
        with files.replacing(target) as temporary, tarfile.open(temporary, "w", format=tarfile.PAX_FORMAT) as tar:
            for record in records:
                _add(tar, f"{_key(record['id'])}.json", json.dumps(as_row(record), ensure_ascii=False).encode())
                for ending in ("npy", "wav"):
                    path = self.part(record["id"], ending)
                    if path.exists():
                        _add(tar, path.name, path.read_bytes())


def _key(id: str) -> str:
    """An id as the name of a WebDataset sample."""
    return id.replace(".", "%2E")


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))
