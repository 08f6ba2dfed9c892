"""The format WebDataset: tars of samples, packed once all are made."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable, Sequence
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np

from spear_accel.storage import files
from spear_accel.synth.sample import Sample, as_row

__all__ = ["WebDataset"]

_ADVICE = "choose another -o"
_SHARD_SIZE = 1000
"""Samples of a shard."""


class WebDataset:
    """`shards/NNNNNN.tar` with `ID.json`, `ID.npy` and, with sound, `ID.wav`.

    Readers of WebDataset take a name up to its first dot for the sample's, so dots of an id are written as `%2E`.
    Parts lie in a folder of their own until all samples are made; then they are packed and deleted.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.parts = folder, folder / ".parts"
        files.make_folder(folder / "shards", _ADVICE)
        files.make_folder(self.parts, _ADVICE)

    def write(self, sample: Sample) -> dict[str, Any]:
        array = io.BytesIO()
        np.save(array, sample.tokens)
        files.write_bytes(self.parts / f"{_key(sample.id)}.npy", array.getvalue())
        if (sound := sample.sound) is not None:
            files.write_bytes(self.parts / f"{_key(sample.id)}.wav", sound)
        return {}

    def finish(self, records: Iterable[dict[str, Any]]) -> None:
        if any(self.parts.iterdir()):
            self._unpack()
            remaining, numbers = iter(records), count()
            while shard := list(islice(remaining, _SHARD_SIZE)):
                self._pack(next(numbers), shard)
        for path in self.parts.iterdir():
            path.unlink()
        self.parts.rmdir()

    def _unpack(self) -> None:
        """Takes out what an earlier run packed: samples made since then may come before it."""
        for shard in sorted((self.folder / "shards").glob("*.tar")):
            with tarfile.open(shard) as tar:
                for member in tar:
                    path, held = self.parts / member.name, tar.extractfile(member)
                    if path.suffix != ".json" and held is not None and not path.exists():
                        files.write_bytes(path, held.read())

    def _pack(self, number: int, records: Sequence[dict[str, Any]]) -> None:
        target = self.folder / "shards" / f"{number:06d}.tar"
        with files.replacing(target) as temporary, tarfile.open(temporary, "w", format=tarfile.PAX_FORMAT) as tar:
            for record in records:
                key = _key(record["id"])
                _add(tar, f"{key}.json", json.dumps(as_row(record), ensure_ascii=False).encode())
                for ending in ("npy", "wav"):
                    path = self.parts / f"{key}.{ending}"
                    if path.exists():
                        _add(tar, path.name, path.read_bytes())


def _key(id: str) -> str:
    """An id as the name of a WebDataset sample."""
    return id.replace(".", "%2E")


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))
