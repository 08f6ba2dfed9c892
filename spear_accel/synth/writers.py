"""Formats of a dataset: the files of each sample as soon as it is made, and the files of the whole at the end.

Every byte follows from the records, in whatever order samples were made. Knows neither voices nor resuming.
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

__all__ = ["FORMATS", "Sample", "Writer", "check_format", "make_writer"]

FORMATS = ("ljspeech", "webdataset", "audiofolder", "lhotse")
_SOUND_ONLY = ("audiofolder", "lhotse")
_ADVICE = "choose another -o"
_SHARD_SIZE = 1000
"""Samples of a WebDataset shard."""


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


class Writer(Protocol):
    """Writes a dataset in one format."""

    def write(self, sample: Sample) -> dict[str, Any]:
        """Writes the files of a sample, each whole or not at all; returns what the sample's record says of them."""

    def finish(self, records: Iterable[dict[str, Any]]) -> None:
        """Writes the files of the whole, once all samples are made. Records come in the order of the input."""


class Sounds:
    """`HOME/ID.wav`, for formats that describe sound files."""

    def __init__(self, folder: Path, home: str) -> None:
        self.folder, self.home = folder, home
        files.make_folder(folder / home, _ADVICE)

    def write(self, sample: Sample) -> dict[str, Any]:
        assert sample.sound is not None
        name = f"{self.home}/{sample.id}.wav"
        files.write_bytes(self.folder / name, sample.sound)
        return {"audio_filepath": name}


class LJSpeech(Sounds):
    """`wavs/ID.wav` and `metadata.csv` with `id|text|normalised text`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "wavs")

    def finish(self, records: Iterable[dict[str, Any]]) -> None:
        lines = ("|".join((r["id"], _field(r["text"]), _field(r["normalized_text"]))) for r in records)
        files.write_lines(self.folder / "metadata.csv", lines)


class AudioFolder(Sounds):
    """`train/ID.wav` and `train/metadata.jsonl`, as Hugging Face `datasets` reads an AudioFolder.

    The folder is named after its split, so that the job's own files stay out and ids with "test" in them stay in:
    otherwise `datasets` would guess splits from file names.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "train")

    def finish(self, records: Iterable[dict[str, Any]]) -> None:
        lines = (json.dumps(self._row(record), ensure_ascii=False) for record in records)
        files.write_lines(self.folder / self.home / "metadata.jsonl", lines)

    def _row(self, record: dict[str, Any]) -> dict[str, Any]:
        name = record["audio_filepath"].removeprefix(f"{self.home}/")
        row = {"file_name": name, **{key: value for key, value in record.items() if key != "audio_filepath"}}
        # As text: `datasets` cannot tell the type of a list if the first ten megabytes hold only empty ones.
        return row | {"warnings": "; ".join(row.get("warnings", ()))}


class Lhotse(Sounds):
    """`wavs/ID.wav` and `cuts.jsonl.gz`: one cut for each sample, with text and record in its one supervision.

    Paths are relative: `CutSet.from_file(FOLDER/cuts.jsonl.gz).with_recording_path_prefix(FOLDER)`.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "wavs")

    def finish(self, records: Iterable[dict[str, Any]]) -> None:
        with ExitStack() as opened:
            temporary = opened.enter_context(files.replacing(self.folder / "cuts.jsonl.gz"))
            file = opened.enter_context(temporary.open("wb"))
            # Lhotse's own writer would put the file's name and the time of day into the file.
            packed = opened.enter_context(gzip.GzipFile("", "wb", fileobj=file, mtime=0))
            for record in records:
                packed.write((json.dumps(self._cut(record), ensure_ascii=False) + "\n").encode())

    def _cut(self, record: dict[str, Any]) -> dict[str, Any]:
        from lhotse import MonoCut, Recording, SupervisionSegment
        from lhotse.supervision import AlignmentItem

        id, path = record["id"], self.folder / record["audio_filepath"]
        recording = Recording.from_file(path, recording_id=id, relative_path_depth=2)
        named = ("id", "text", "voice", "duration", "audio_filepath", "words")
        custom = {key: value for key, value in record.items() if key not in named}
        words = [
            AlignmentItem(word["word"], word["start"], round(word["end"] - word["start"], 3))
            for word in record.get("words", ())
        ]
        said = SupervisionSegment(
            id, id, 0.0, recording.duration, text=record["text"], speaker=record["voice"], custom=custom,
            alignment={"word": words} if words else None,
        )  # fmt: skip
        cut = MonoCut(id, 0.0, recording.duration, channel=0, supervisions=[said], recording=recording)
        fields: dict[str, Any] = cut.to_dict()
        return fields


class Tokens:
    """`tokens/ID.npz` with `tokens`, int64."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        files.make_folder(folder / "tokens", _ADVICE)

    def write(self, sample: Sample) -> dict[str, Any]:
        name = f"tokens/{sample.id}.npz"
        files.write_bytes(self.folder / name, _npz(sample.tokens))
        return {"tokens_filepath": name}

    def finish(self, records: Iterable[dict[str, Any]]) -> None:
        """The whole has no files of its own."""


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
        with files.replacing(target) as temporary, tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as tar:
            for record in records:
                key = _key(record["id"])
                _add(tar, f"{key}.json", json.dumps(record, ensure_ascii=False).encode())
                for ending in ("npy", "wav"):
                    path = self.parts / f"{key}.{ending}"
                    if path.exists():
                        _add(tar, path.name, path.read_bytes())


def check_format(format: str, tokens_only: bool) -> None:
    """Checks a format without touching any folder.

    Raises:
        UserError: The format is unknown, needs sound although only tokens are wanted, or needs a missing package.
    """
    if format not in FORMATS:
        raise UserError(f"--format {format}: unknown; choose {', '.join(FORMATS[:-1])} or {FORMATS[-1]}")
    if tokens_only and format in _SOUND_ONLY:
        raise UserError(f"--format {format}: describes sound files; leave --tokens-only out, or choose webdataset")
    if format == "lhotse" and find_spec("lhotse") is None:
        raise UserError("--format lhotse: needs the package lhotse; install it with: pip install 'spear-accel[lhotse]'")


def make_writer(format: str, tokens_only: bool, folder: Path) -> Writer:
    """Makes the writer of a format, and its folders.

    Raises:
        UserError: As `check_format`, or a folder cannot be made.
    """
    check_format(format, tokens_only)
    if format == "ljspeech" and tokens_only:
        return Tokens(folder)
    writers: dict[str, Callable[[Path], Writer]] = {
        "ljspeech": LJSpeech,
        "webdataset": WebDataset,
        "audiofolder": AudioFolder,
        "lhotse": Lhotse,
    }
    return writers[format](folder)


def _field(text: str) -> str:
    """A text as a field between pipes: pipes and line ends become spaces."""
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
