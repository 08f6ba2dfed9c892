"""Recordings for acoustic training: any corpus in LJSpeech layout, decoded once at the training rate and kept.

Knows audio files, levels and which clips are held out. Does not know mel frames, tokens or networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from spear_accel.audio.files import read_audio
from spear_accel.data.corpus import read_corpus
from spear_accel.data.split import Split, read_split
from spear_accel.errors import UserError
from spear_accel.storage import files
from spear_accel.training.loop.settings import Positive, Strings

_FULL_SCALE = 32767.0


@dataclass(frozen=True)
class RecordingsConfig:
    """Where recordings lie and how loud they shall be.

    `folders` are corpora with `wavs/ID.*`; `cache` takes the decoded audio. `split` names a JSON file
    of the ids that are held out (`spear_accel.data.split`).
    `gain_db` is applied to every clip, and a clip whose peak would pass `peak` is turned down as a whole.
    """

    folders: Strings
    cache: str
    split: str | None = None
    gain_db: float = 8.0
    peak: Positive = 0.95

    def __post_init__(self) -> None:
        if not self.folders:
            raise UserError("folders is empty; name at least one corpus in LJSpeech layout")


@dataclass(frozen=True)
class Recording:
    """One decoded clip: int16 samples in `path` (.npy), `samples` of them."""

    name: str
    path: Path
    samples: int

    def read(self, start: int = 0, count: int | None = None) -> Tensor:
        """Float32 [count] from `start`; zeros where the clip has no samples."""
        end = self.samples if count is None else start + count
        audio = np.load(self.path, mmap_mode="r")[max(start, 0) : min(end, self.samples)]
        waveform = torch.from_numpy(audio.astype(np.float32) / _FULL_SCALE)
        padded: Tensor = torch.nn.functional.pad(waveform, (max(-start, 0), max(end - self.samples, 0)))
        return padded


def level(waveform: Tensor, gain_db: float, peak: float) -> Tensor:
    """Amplify by `gain_db`, less where the peak would pass `peak` (full scale is one)."""
    wanted = float(10.0 ** (gain_db / 20))
    return waveform * min(wanted, peak / max(float(waveform.abs().max()), 1e-9))


def load_recordings(config: RecordingsConfig, sample_rate: int) -> list[Recording]:
    """All clips of all folders, decoding those that the cache lacks. The order is that of the corpus tables.

    Raises:
        UserError: A folder is no such corpus, or a file cannot be decoded.
    """
    recordings = []
    for folder in config.folders:
        target = Path(config.cache) / f"{sample_rate}_{config.gain_db:g}dB" / Path(folder).name
        target.mkdir(parents=True, exist_ok=True)
        recordings += [_cached(one.audio, target, config, sample_rate) for one in read_corpus(folder)]
    return recordings


def _cached(file: Path, target: Path, config: RecordingsConfig, sample_rate: int) -> Recording:
    path = target / f"{file.stem}.npy"
    if not path.exists():
        waveform = level(read_audio(file, sample_rate), config.gain_db, config.peak)
        with files.writing(path) as out:
            np.save(out, (waveform.clamp(-1, 1) * _FULL_SCALE).round().to(torch.int16).numpy())
    return Recording(file.stem, path, int(np.load(path, mmap_mode="r").shape[0]))


def split_recordings(
    recordings: Sequence[Recording], split: str | None
) -> tuple[list[Recording], list[Recording], list[Recording]]:
    """(training, validation, test) by a split file (`spear_accel.data.split`); without one all are for training.

    Raises:
        UserError: The split file is missing or holds something else, or nothing is left to train on.
    """
    held_out = Split() if split is None else read_split(split)
    parts: dict[str, list[Recording]] = {"train": [], "validation": [], "test": []}
    for recording in recordings:
        parts[held_out.part_of(recording.name)].append(recording)
    if split is not None and not parts["train"]:
        raise UserError(f"data.split: {split} holds out every recording; leave some for training")
    return parts["train"], parts["validation"], parts["test"]
