"""Formats of a dataset: files of a line as soon as it is made, and what belongs to all of them at the end.

Every byte follows from the records, whatever order they were made in. Knows neither voices nor resuming.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import count, islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from spear_accel.audio.writer import sound_bytes
from spear_accel.errors import UserError
from spear_accel.storage import files

__all__ = ["FORMATS", "Made", "Writer", "check_format", "make_writer"]

FORMATS = ("ljspeech", "webdataset", "audiofolder", "lhotse")
_SOUND_ONLY = ("audiofolder", "lhotse")
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

    def finish(self, records: Iterable[dict[str, Any]]) -> None:
        """All lines are made; records in the order of the input, read once."""


class Sounds:
    """``HOME/ID.wav``, for formats that describe sound files."""

    def __init__(self, folder: Path, home: str) -> None:
        self.folder, self.home = folder, home
        _make(folder / home)

    def write(self, made: Made) -> dict[str, Any]:
        assert made.samples is not None and made.sample_rate is not None
        name = f"{self.home}/{made.id}.wav"
        files.write_bytes(self.folder / name, sound_bytes(made.samples, made.sample_rate))
        return {"audio_filepath": name}


class LJSpeech(Sounds):
    """``wavs/ID.wav`` and ``metadata.csv`` with ``id|text|normalised text``."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "wavs")

    def finish(self, records: Iterable[dict[str, Any]]) -> None:
        lines = ("|".join((r["id"], _field(r["text"]), _field(r["normalized_text"]))) for r in records)
        files.write_lines(self.folder / "metadata.csv", lines)


class AudioFolder(Sounds):
    """``train/ID.wav`` and ``train/metadata.jsonl``, as Hugging Face ``datasets`` reads an AudioFolder.

    A folder named for its split keeps the job's own files out, and ids with "test" in them in: without one,
    ``datasets`` would guess splits from the names of files.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "train")

    def finish(self, records: Iterable[dict[str, Any]]) -> None:
        lines = (json.dumps(self._row(record), ensure_ascii=False) for record in records)
        files.write_lines(self.folder / self.home / "metadata.jsonl", lines)

    def _row(self, record: dict[str, Any]) -> dict[str, Any]:
        name = record["audio_filepath"].removeprefix(f"{self.home}/")
        row = {"file_name": name, **{key: value for key, value in record.items() if key != "audio_filepath"}}
        # A text: the type of a list could not be told where the first ten megabytes have only empty ones.
        return row | {"warnings": "; ".join(row.get("warnings", ()))}


class Lhotse(Sounds):
    """``wavs/ID.wav`` and ``cuts.jsonl.gz``: a cut a line, with text and record in its one supervision.

    Paths are relative: ``CutSet.from_file(FOLDER/cuts.jsonl.gz).with_recording_path_prefix(FOLDER)``.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "wavs")

    def finish(self, records: Iterable[dict[str, Any]]) -> None:
        with ExitStack() as opened:
            temporary = opened.enter_context(files.replacing(self.folder / "cuts.jsonl.gz"))
            file = opened.enter_context(temporary.open("wb"))
            # The package's own writer would put name and time of day into the file.
            packed = opened.enter_context(gzip.GzipFile("", "wb", fileobj=file, mtime=0))
            for record in records:
                packed.write((json.dumps(self._cut(record), ensure_ascii=False) + "\n").encode())

    def _cut(self, record: dict[str, Any]) -> dict[str, Any]:
        from lhotse import MonoCut, Recording, SupervisionSegment

        id, path = record["id"], self.folder / record["audio_filepath"]
        recording = Recording.from_file(path, recording_id=id, relative_path_depth=2)
        named = ("id", "text", "voice", "duration", "audio_filepath")
        custom = {key: value for key, value in record.items() if key not in named}
        said = SupervisionSegment(
            id, id, 0.0, recording.duration, text=record["text"], speaker=record["voice"], custom=custom
        )
        cut = MonoCut(id, 0.0, recording.duration, channel=0, supervisions=[said], recording=recording)
        fields: dict[str, Any] = cut.to_dict()
        return fields


class Tokens:
    """``tokens/ID.npz`` with ``tokens``, int64."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        _make(folder / "tokens")

    def write(self, made: Made) -> dict[str, Any]:
        name = f"tokens/{made.id}.npz"
        files.write_bytes(self.folder / name, _npz(made.tokens))
        return {"tokens_filepath": name}

    def finish(self, records: Iterable[dict[str, Any]]) -> None:
        """Nothing belongs to all."""


class WebDataset:
    """`shards/NNNNNN.tar` with `ID.json`, `ID.npy` and, where sound is wanted, `ID.wav`.

    Readers of WebDataset take a name up to its first dot for the sample's, so dots of an id are written as `%2E`.
    Parts lie in a folder of their own until all lines are made; then they are packed, and taken away.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.parts = folder, folder / ".parts"
        _make(folder / "shards")
        _make(self.parts)

    def write(self, made: Made) -> dict[str, Any]:
        array = io.BytesIO()
        np.save(array, made.tokens)
        files.write_bytes(self.parts / f"{_key(made.id)}.npy", array.getvalue())
        if made.samples is not None and made.sample_rate is not None:
            files.write_bytes(self.parts / f"{_key(made.id)}.wav", sound_bytes(made.samples, made.sample_rate))
        return {}

    def finish(self, records: Iterable[dict[str, Any]]) -> None:
        if any(self.parts.iterdir()):
            self._unpack()
            waiting, numbers = iter(records), count()
            while shard := list(islice(waiting, _SHARD)):
                self._pack(next(numbers), shard)
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
                key = _key(record["id"])
                _add(tar, f"{key}.json", json.dumps(record, ensure_ascii=False).encode())
                for ending in ("npy", "wav"):
                    path = self.parts / f"{key}.{ending}"
                    if path.exists():
                        _add(tar, path.name, path.read_bytes())


def check_format(format: str, tokens_only: bool) -> None:
    """Whether a dataset can be written so; touches no folder.

    Raises:
        UserError: The format is unknown, needs sound where only tokens are wanted, or needs a package that is missing.
    """
    if format not in FORMATS:
        raise UserError(f"--format {format}: unknown; choose {', '.join(FORMATS[:-1])} or {FORMATS[-1]}")
    if tokens_only and format in _SOUND_ONLY:
        raise UserError(f"--format {format}: describes sound files; leave --tokens-only out, or choose webdataset")
    if format == "lhotse" and find_spec("lhotse") is None:
        raise UserError("--format lhotse: needs the package lhotse; install it with: pip install 'spear-accel[lhotse]'")


def make_writer(format: str, tokens_only: bool, folder: Path) -> Writer:
    """The writer of a format, its folders made.

    Raises:
        UserError: As `check_format`, or a folder cannot be made.
    """
    check_format(format, tokens_only)
    if format == "ljspeech" and tokens_only:
        return Tokens(folder)
    kinds: dict[str, Callable[[Path], Writer]] = {
        "ljspeech": LJSpeech, "webdataset": WebDataset, "audiofolder": AudioFolder, "lhotse": Lhotse,
    }  # fmt: skip
    return kinds[format](folder)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot make this folder ({error.strerror}); choose another -o") from error


def _field(text: str) -> str:
    """A text as a field between pipes: what would end it is a space."""
    return " ".join(text.replace("|", " ").split())


def _key(id: str) -> str:
    """An id as the name of a WebDataset sample."""
    return id.replace(".", "%2E")


def _npz(tokens: np.ndarray) -> bytes:
    file = io.BytesIO()
    # numpy gives members a fixed date, so equal tokens give equal bytes.
    np.savez(file, tokens=tokens)
    return file.getvalue()


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))
