"""Samples to sound files: 16-bit WAV, the same bytes everywhere, and whatever else libsndfile writes.

Knows samples, sample rates and formats. Does not know where the samples come from or where the bytes go.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import numpy as np
import soundfile

from spear_accel.errors import UserError

__all__ = ["SoundWriter", "format_of", "pcm16", "sound_bytes", "sound_formats"]

_CODINGS = {
    "wav": ("WAV", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "aiff": ("AIFF", "PCM_16"),
    "au": ("AU", "PCM_16"),
    "caf": ("CAF", "PCM_16"),
}
"""Container and coding by the ending of a file name."""
_CONSTANT_RATE: dict[str, Any] = {"bitrate_mode": "CONSTANT", "compression_level": 0.5}
"""80 kbit/s at 24 kHz. A variable rate can be sought and timed only with a table that is written at the end."""
_PAGE_LATENCY, _PAGE_MILLISECONDS = 0x1302, 100.0
"""libsndfile's command for how much sound an Ogg page holds at most; by itself it waits for a second of it."""
# Encoders get their samples in blocks: libsndfile's Vorbis encoder overflows its stack on minutes at once.
_BLOCK = 16384


def pcm16(samples: np.ndarray) -> bytes:
    """Float samples [n] in [-1, 1] as signed 16-bit little-endian; what lies outside is clipped."""
    return bytes(_integers(samples).data)


def sound_bytes(samples: np.ndarray, sample_rate: int, format: str = "wav") -> bytes:
    """A whole mono sound file of float samples [n].

    Raises:
        UserError: As `SoundWriter`.
    """
    file = io.BytesIO()
    with SoundWriter(file, sample_rate, format) as writer:
        writer.write(samples)
    return file.getvalue()


def sound_formats() -> tuple[str, ...]:
    """The formats that the libsndfile of this installation writes, as endings of file names without the dot."""
    return tuple(ending for ending, coding in _CODINGS.items() if soundfile.check_format(*coding))


def format_of(path: str | Path) -> str:
    """The format that the ending of a file name asks for; WAV if it has no ending.

    Raises:
        UserError: It is a format that cannot be written.
    """
    ending = Path(path).suffix.lower().removeprefix(".") or "wav"
    if ending not in sound_formats():
        names = ", ".join(f".{name}" for name in sound_formats())
        raise UserError(f"{path}: cannot write a sound file that ends with .{ending}; name it {names}")
    return ending


class OutputFile(Protocol):
    """What an encoder asks of a file."""

    def write(self, data: bytes, /) -> int: ...

    def seek(self, offset: int, whence: int = 0, /) -> int: ...

    def tell(self) -> int: ...


class SoundWriter:
    """Encodes one mono sound into an open file that can seek; every sound has an encoder of its own.

    A context manager. The file is whole after `close`, and stays open.
    """

    def __init__(self, file: OutputFile, sample_rate: int, format: str = "wav", live: bool = False) -> None:
        """Starts the encoder.

        Args:
            file: The file, open for writing.
            sample_rate: In Hz.
            format: One of `sound_formats()`.
            live: Whether somebody reads the file while it is written, so that what is encoded should come soon, and
                players should not need a header that only the end can tell.

        Raises:
            UserError: The format is unknown, or is not written at this sample rate.
        OSError: The disk is full, or the file cannot be written.
        """
        if format not in sound_formats():
            raise UserError(f"sound format {format!r} is unknown; choose one of {', '.join(sound_formats())}")
        container, coding = _CODINGS[format]
        self._file = _Watched(file)
        try:
            self._encoder = soundfile.SoundFile(
                self._file, "w", sample_rate, channels=1, format=container, subtype=coding,
                **(_CONSTANT_RATE if live and format == "mp3" else {}),
            )  # fmt: skip
            if live and format == "opus":
                _shorten_pages(self._encoder)
        except soundfile.SoundFileError as error:
            if self._file.fault is not None:
                raise self._file.fault from error
            raise UserError(f"{format} is not written at {sample_rate} Hz; choose wav or flac") from error

    def write(self, samples: np.ndarray) -> None:
        """Appends float samples [n] in [-1, 1].

        Raises:
            OSError: The disk is full, or the file cannot be written.
        """
        whole = _integers(samples)
        for start in range(0, len(whole), _BLOCK):
            self._file.run(self._encoder.write, whole[start : start + _BLOCK])

    def close(self) -> None:
        """Finishes the file: headers with lengths, the last block of a compressed sound."""
        self._file.run(self._encoder.close)

    def __enter__(self) -> SoundWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Watched:
    """A file as libsndfile sees it. libsndfile calls it from C, where an exception would be printed and lost, so that
    faults are kept and raised by `run`."""

    def __init__(self, file: OutputFile) -> None:
        self._file = file
        self.fault: OSError | None = None

    def run(self, action: Callable[..., Any], *arguments: Any) -> None:
        """Calls `action` of the encoder and raises what went wrong with the file meanwhile."""
        try:
            action(*arguments)
        except (soundfile.SoundFileError, AssertionError) as error:
            raise self.fault or OSError(str(error)) from error
        if self.fault is not None:
            raise self.fault

    def write(self, data: bytes) -> int:
        return self._kept(self._file.write, data)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._kept(self._file.seek, offset, whence)

    def tell(self) -> int:
        return self._kept(self._file.tell)

    def read(self, count: int) -> bytes:
        """Encoders do not read; libsndfile wants the function."""
        raise io.UnsupportedOperation("read")

    def _kept(self, action: Callable[..., int], *arguments: Any) -> int:
        try:
            return action(*arguments)
        except OSError as error:
            self.fault = self.fault or error
            return 0


def _shorten_pages(encoder: soundfile.SoundFile) -> None:
    """soundfile has no name for this command; where its inner parts are called otherwise, pages stay long."""
    with suppress(AttributeError):
        milliseconds = soundfile._ffi.new("double*", _PAGE_MILLISECONDS)
        soundfile._snd.sf_command(encoder._file, _PAGE_LATENCY, milliseconds, 8)


def _integers(samples: np.ndarray) -> np.ndarray:
    """Float samples [n] as int16 [n]; libsndfile's own conversion would round differently."""
    scaled: np.ndarray = (np.clip(samples, -1.0, 1.0) * 32767.0).round()
    return scaled.astype("<i2")
