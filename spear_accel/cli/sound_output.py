"""Where a command's sound goes: a sound file of any format, or WAV or raw samples on standard output.

A file appears under its name only when it is whole. Does not know how the sound is made.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import numpy as np

from spear_accel.audio.treatment import Sink
from spear_accel.audio.writer import SoundWriter, format_of, pcm16
from spear_accel.errors import UserError
from spear_accel.storage import files


class _Raw:
    """Bare samples, handed on at once."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def write(self, samples: np.ndarray) -> None:
        self._file.write(pcm16(samples))
        self._file.flush()


def check(output: str, raw: bool) -> None:
    """Refuses, before any work, an output that cannot be written.

    Raises:
        UserError: The ending of the name is of no format that can be written, the place cannot be written to, or
            sound would go to a terminal.
    """
    if output != "-":
        if not raw:
            format_of(output)
        files.check_writable(output)
    elif sys.stdout is None:
        raise UserError("standard output is closed; name a file with -o FILE")
    elif sys.stdout.isatty():
        raise UserError("standard output is a terminal; name a file with -o FILE or pipe the sound to a player")


def is_live(output: str, raw: bool) -> bool:
    """Whether somebody may listen while the sound is still made: raw samples into a pipe."""
    return raw and (output == "-" or files.is_stream(output))


@contextmanager
def open_sink(output: str, raw: bool, sample_rate: int) -> Iterator[Sink]:
    """Yields a sink for `output` ("-" is standard output), in the format that its ending names.

    Raw samples go out as they are made. A sound file on standard output or in a FIFO comes at the end, because its
    header needs the length.

    Raises:
        UserError: The disk is full or the file cannot be written; nothing is left under its name then. Or the format
            is not written at this sample rate.
    """
    if raw and output == "-":
        yield _Raw(sys.stdout.buffer)
    elif raw:
        with files.writing(output) as file:
            yield _Raw(file)
    elif output == "-":
        with tempfile.TemporaryFile() as spool:
            with SoundWriter(spool, sample_rate) as sink:
                yield sink
            spool.seek(0)
            shutil.copyfileobj(spool, sys.stdout.buffer)
    else:
        with (
            files.replacing(output) as temporary,
            temporary.open("wb") as file,
            SoundWriter(file, sample_rate, format_of(output)) as sink,
        ):
            yield sink
