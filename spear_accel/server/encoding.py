"""Sound that is sent while it is made: one encoder for a whole stream, so that no join clicks.

Knows samples and formats. Does not know HTTP.
"""

from __future__ import annotations

import io
import struct
from typing import Protocol

import numpy as np

from spear_accel.audio.writer import SoundWriter, pcm16

__all__ = ["MEDIA_TYPES", "StreamEncoder", "stream_encoder", "whole_sound"]

MEDIA_TYPES = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}
"""By format. OpenAI's opus is Ogg Opus, which players know by audio/ogg."""
_UNKNOWN_LENGTH = 0xFFFFFFFF


class StreamEncoder(Protocol):
    """Samples in, bytes out."""

    def write(self, samples: np.ndarray) -> bytes:
        """What can be sent once float samples [n] are taken in; may be nothing."""

    def close(self) -> bytes:
        """The rest."""


def stream_encoder(format: str, sample_rate: int) -> StreamEncoder:
    """The encoder of one stream.

    Raises:
        UserError: The format is not written at this sample rate.
    """
    if format == "pcm":
        return _Pcm()
    if format == "wav":
        return _Wav(sample_rate)
    return _Compressed(format, sample_rate)


def whole_sound(samples: np.ndarray, sample_rate: int, format: str) -> bytes:
    """A sound that is there already, with its length in the header where the format has one."""
    file = io.BytesIO()
    if format == "pcm":
        return pcm16(samples)
    with SoundWriter(file, sample_rate, format) as writer:
        writer.write(samples)
    return file.getvalue()


class _Pcm:
    """Signed 16-bit little-endian samples."""

    def write(self, samples: np.ndarray) -> bytes:
        return pcm16(samples)

    def close(self) -> bytes:
        return b""


class _Wav:
    """WAV whose header says that the length is unknown, as players of streams expect it."""

    def __init__(self, sample_rate: int) -> None:
        self._header = struct.pack(
            "<4sI4s4sIHHIIHH4sI", b"RIFF", _UNKNOWN_LENGTH, b"WAVE", b"fmt ", 16, 1, 1, sample_rate, 2 * sample_rate,
            2, 16, b"data", _UNKNOWN_LENGTH,
        )  # fmt: skip

    def write(self, samples: np.ndarray) -> bytes:
        header, self._header = self._header, b""
        return header + pcm16(samples)

    def close(self) -> bytes:
        return self._header


class _Compressed:
    """What libsndfile encodes. Headers that it would write again at the end stay as they were sent."""

    def __init__(self, format: str, sample_rate: int) -> None:
        self._outbox = _Outbox()
        self._writer = SoundWriter(self._outbox, sample_rate, format, live=True)

    def write(self, samples: np.ndarray) -> bytes:
        self._writer.write(samples)
        return self._outbox.take()

    def close(self) -> bytes:
        self._writer.close()
        return self._outbox.take()


class _Outbox:
    """A file that is sent while it is written: what was sent cannot be written again."""

    def __init__(self) -> None:
        self._unsent = bytearray()
        self._sent = self._at = 0

    def write(self, data: bytes) -> int:
        start, self._at = self._at - self._sent, self._at + len(data)
        # Of what lies in front of `start` nothing is here any more.
        unsent = bytes(data)[max(0, -start) :]
        start = max(0, start)
        self._unsent[start : start + len(unsent)] = unsent
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._sent + len(self._unsent)}[whence]
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def take(self) -> bytes:
        """What is to be sent now."""
        data = bytes(self._unsent)
        self._sent += len(data)
        self._unsent.clear()
        return data
