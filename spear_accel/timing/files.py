"""Word times to a file, in the format that its ending names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from spear_accel.errors import UserError
from spear_accel.storage import files
from spear_accel.timing.formats.annotation import ctm, textgrid, word_list
from spear_accel.timing.formats.base import Transcript
from spear_accel.timing.formats.subtitles import srt, vtt

__all__ = ["WORD_FORMATS", "check_words_path", "write_words"]

WORD_FORMATS: dict[str, Callable[[Transcript], str]] = {
    "json": word_list,
    "srt": srt,
    "vtt": vtt,
    "ctm": ctm,
    "textgrid": textgrid,
}
"""By the ending of a file name, in small letters."""


def check_words_path(path: str | Path) -> None:
    """Refuse, before any work, a file that cannot be written.

    Raises:
        UserError: No format has this ending, or the file cannot be written there.
    """
    _format_of(path)
    files.check_writable(path)


def write_words(path: str | Path, said: Transcript) -> None:
    """Write the words of a text, whole or not at all.

    Raises:
        UserError: No format has this ending, or the file cannot be written.
    """
    files.write_text(path, _format_of(path)(said))


def _format_of(path: str | Path) -> Callable[[Transcript], str]:
    ending = Path(path).suffix.lower().removeprefix(".")
    if ending not in WORD_FORMATS:
        raise UserError(f"{path}: word times go to a file that ends with .json, .srt, .vtt, .ctm or .TextGrid")
    return WORD_FORMATS[ending]
