"""Formats of a dataset: the files of each sample as soon as it is made, and the files of the whole at the end.

Every byte follows from the records, in whatever order samples were made. Knows neither voices nor resuming.
"""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from spear_accel.errors import UserError
from spear_accel.storage import files
from spear_accel.synth.sample import Sample, as_row
from spear_accel.synth.webdataset import WebDataset

__all__ = ["FORMATS", "Sample", "Writer", "check_format", "make_writer"]

FORMATS = ("ljspeech", "webdataset", "audiofolder", "lhotse")
_SOUND_ONLY = ("audiofolder", "lhotse")
_ADVICE = "choose another -o"


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
        return as_row(row)


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


def _npz(tokens: np.ndarray) -> bytes:
    file = io.BytesIO()
    # numpy gives members a fixed date, so equal tokens give equal bytes.
    np.savez(file, tokens=tokens)
    return file.getvalue()
