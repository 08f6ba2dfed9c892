"""Where a command's sound goes: a WAV file, or WAV or raw samples on standard output.

A file appears under its name only when it is whole. Does not know how the sound is made.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

import numpy as np

from spear_accel.audio.wav import pcm16
from spear_accel.errors import UserError
from spear_accel.storage import files

# Endings that promise a coding which this does not write.
_OTHER_CODINGS = frozenset((".mp3", ".flac", ".ogg", ".opus", ".m4a", ".aac", ".aiff"))


class Sink(Protocol):
    """Takes float32 samples [n] in [-1, 1], piece by piece."""

    def write(self, samples: np.ndarray) -> None: ...


class _Raw:
    """Bare samples, handed on at once."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def write(self, samples: np.ndarray) -> None:
        self._file.write(pcm16(samples))
        self._file.flush()


class _Wav:
    def __init__(self, sound: wave.Wave_write) -> None:
        self._sound = sound

    def write(self, samples: np.ndarray) -> None:
        self._sound.writeframesraw(pcm16(samples))


def check(output: str, raw: bool) -> None:
    """Refuse, before any work, an output that cannot be written. Raises UserError."""
    if output != "-":
        if not raw and Path(output).suffix.lower() in _OTHER_CODINGS:
            raise UserError(f"{output}: only WAV is written; name it .wav and convert it, for example with ffmpeg")
        files.check_writable(output)
    elif sys.stdout.isatty():
        raise UserError("standard output is a terminal; name a file with -o FILE or pipe the sound to a player")


@contextmanager
def open_sink(output: str, raw: bool, sample_rate: int) -> Iterator[Sink]:
    """A sink for `output` ("-" is standard output).

    A WAV on standard output comes at the end, since its header needs the length; raw samples come as they are made.
    Raises UserError when the disk is full or the file cannot be written; nothing is left under its name then.
    """
    if output != "-":
        with files.replacing(output) as temporary, temporary.open("wb") as file, _into(file, raw, sample_rate) as sink:
            yield sink
    elif raw:
        yield _Raw(sys.stdout.buffer)
    else:
        with tempfile.TemporaryFile() as spool:
            with _into(spool, raw, sample_rate) as sink:
                yield sink
            spool.seek(0)
            shutil.copyfileobj(spool, sys.stdout.buffer)


@contextmanager
def _into(file: IO[bytes], raw: bool, sample_rate: int) -> Iterator[Sink]:
    if raw:
        yield _Raw(file)
        return
    with wave.open(file, "wb") as sound:
        sound.setparams((1, 2, sample_rate, 0, "NONE", "not compressed"))
        yield _Wav(sound)
