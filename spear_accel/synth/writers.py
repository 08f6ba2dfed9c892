"""Formats of a dataset: the files of each sample as soon as it is made, and the files of the whole at the end.

Every byte follows from the records, in whatever order samples were made. Knows neither voices nor resuming.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from spear_accel.errors import UserError
from spear_accel.storage import files
from spear_accel.synth.lhotse import Cuts, Shar
from spear_accel.synth.parquet import Parquet
from spear_accel.synth.sample import Sample, as_row
from spear_accel.synth.sounds import Sounds
from spear_accel.synth.webdataset import WebDataset

__all__ = ["FORMATS", "Sample", "Writer", "check_format", "make_writer"]

FORMATS = ("ljspeech", "webdataset", "audiofolder", "parquet", "lhotse", "shar", "nemo")
_WITH_TOKENS = ("ljspeech", "webdataset")
"""Formats that can do without sound."""
_PACKAGES = {"lhotse": ("lhotse", "lhotse"), "shar": ("lhotse", "lhotse"), "parquet": ("pyarrow", "parquet")}
"""By format: the package that it needs, and the extra that brings it."""
_ADVICE = "choose another -o"


class Writer(Protocol):
    """Writes a dataset in one format."""

    def write(self, sample: Sample) -> dict[str, Any]:
        """Writes the files of a sample, each whole or not at all; returns what the sample's record says of them."""

    def finish(self, records: Iterable[dict[str, Any]]) -> None:
        """Writes the files of the whole, once all samples are made. Records come in the order of the input."""


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


class NeMo(Sounds):
    """`wavs/ID.wav` and `nemo.json`, a line of JSON for each sample, as NeMo's text-to-speech datasets read it.

    The name ends in `.json` because some readers take `.jsonl` for a manifest of Lhotse.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "wavs")

    def finish(self, records: Iterable[dict[str, Any]]) -> None:
        files.write_lines(self.folder / "nemo.json", (json.dumps(_nemo(r), ensure_ascii=False) for r in records))


def _nemo(record: dict[str, Any]) -> dict[str, Any]:
    kept = ("audio_filepath", "duration", "text", "normalized_text")
    return {**{name: record[name] for name in kept}, "speaker": record["voice"], "id": record["id"]}


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
    if tokens_only and format not in _WITH_TOKENS:
        raise UserError(f"--format {format}: describes sound files; leave --tokens-only out, or choose webdataset")
    package, extra = _PACKAGES.get(format, (None, None))
    if package is not None and find_spec(package) is None:
        raise UserError(
            f"--format {format}: needs the package {package}; install it with: pip install 'spear-accel[{extra}]'"
        )


def make_writer(format: str, tokens_only: bool, folder: Path, validation: float = 0.0) -> Writer:
    """Makes the writer of a format, and its folders; validation: see `Parquet`.

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
        "parquet": partial(Parquet, validation=validation),
        "lhotse": Cuts,
        "shar": Shar,
        "nemo": NeMo,
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
