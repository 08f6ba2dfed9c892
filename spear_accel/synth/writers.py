"""Formats of a dataset: files of a line as soon as it is made, and what belongs to all of them at the end.

Every byte follows from the records, whatever order they were made in. Knows neither voices nor resuming.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from spear_accel.errors import UserError
from spear_accel.io import files
from spear_accel.io.wav import wav_bytes

__all__ = ["FORMATS", "Made", "Writer", "make_writer"]

FORMATS = ("ljspeech", "webdataset")
_SHARD = 1000
"""Lines of a WebDataset shard."""


@dataclass(frozen=True)
class Made:
    """A line that was spoken. samples: float32 [n], None where only tokens are wanted; tokens: int64 [m]."""

    id: str
    tokens: np.ndarray
    samples: np.ndarray | None
    sample_rate: int | None


class Writer(Protocol):
    """What a job asks of a format."""

    def write(self, made: Made) -> dict[str, Any]:
        """Write the files of a line, whole or not at all; returns what its record says of them."""

    def finish(self, records: Sequence[dict[str, Any]]) -> None:
        """All lines are made; records in the order of the input."""


class LJSpeech:
    """``wavs/ID.wav`` and ``metadata.csv`` with ``id|text|normalised text``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        _make(folder / "wavs")

    def write(self, made: Made) -> dict[str, Any]:
        assert made.samples is not None and made.sample_rate is not None
        name = f"wavs/{made.id}.wav"
        files.write_bytes(self.folder / name, wav_bytes(made.samples, made.sample_rate))
        return {"audio_filepath": name}

    def finish(self, records: Sequence[dict[str, Any]]) -> None:
        lines = ["|".join((r["id"], _field(r["text"]), _field(r["normalized_text"]))) + "\n" for r in records]
        files.write_text(self.folder / "metadata.csv", "".join(lines))


class Tokens:
    """``tokens/ID.npz`` with ``tokens``, int64."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        _make(folder / "tokens")

    def write(self, made: Made) -> dict[str, Any]:
        name = f"tokens/{made.id}.npz"
        files.write_bytes(self.folder / name, _npz(made.tokens))
        return {"tokens_filepath": name}

    def finish(self, records: Sequence[dict[str, Any]]) -> None:
        """Nothing belongs to all."""


class WebDataset:
    """``shards/NNNNNN.tar`` with ``ID.json``, ``ID.npy`` and, where sound is wanted, ``ID.wav``.

    Parts lie in a folder of their own until all lines are made; then they are packed, and taken away.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.parts = folder, folder / ".parts"
        _make(folder / "shards")
        _make(self.parts)

    def write(self, made: Made) -> dict[str, Any]:
        array = io.BytesIO()
        np.save(array, made.tokens)
        files.write_bytes(self.parts / f"{made.id}.npy", array.getvalue())
        if made.samples is not None and made.sample_rate is not None:
            files.write_bytes(self.parts / f"{made.id}.wav", wav_bytes(made.samples, made.sample_rate))
        return {}

    def finish(self, records: Sequence[dict[str, Any]]) -> None:
        if any(self.parts.iterdir()):
            self._unpack()
            for first in range(0, len(records), _SHARD):
                self._pack(first // _SHARD, records[first : first + _SHARD])
        for path in self.parts.iterdir():
            path.unlink()
        self.parts.rmdir()

    def _unpack(self) -> None:
        """Get back what an earlier run packed: lines that were made since may stand before it."""
        for shard in sorted((self.folder / "shards").glob("*.tar")):
            with tarfile.open(shard) as tar:
                for member in tar:
                    path, held = self.parts / member.name, tar.extractfile(member)
                    if path.suffix != ".json" and held is not None and not path.exists():
                        files.write_bytes(path, held.read())

    def _pack(self, number: int, records: Sequence[dict[str, Any]]) -> None:
        target = self.folder / "shards" / f"{number:06d}.tar"
        with files.replacing(target) as temporary, tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as tar:
            for record in records:
                _add(tar, f"{record['id']}.json", json.dumps(record, ensure_ascii=False).encode())
                for ending in ("npy", "wav"):
                    path = self.parts / f"{record['id']}.{ending}"
                    if path.exists():
                        _add(tar, path.name, path.read_bytes())


def make_writer(format: str, tokens_only: bool, folder: Path) -> Writer:
    """Raises UserError where the format is unknown."""
    if format not in FORMATS:
        raise UserError(f"--format {format}: unknown; choose {' or '.join(FORMATS)}")
    if format == "webdataset":
        return WebDataset(folder)
    return Tokens(folder) if tokens_only else LJSpeech(folder)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot make this folder ({error.strerror}); choose another -o") from error


def _field(text: str) -> str:
    """A text as a field between pipes: what would end it is a space."""
    return " ".join(text.replace("|", " ").split())


def _npz(tokens: np.ndarray) -> bytes:
    file = io.BytesIO()
    # numpy gives members a fixed date, so equal tokens give equal bytes.
    np.savez(file, tokens=tokens)
    return file.getvalue()


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))
