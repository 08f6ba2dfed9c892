"""One line of a job's input, checked: where it comes from a file or from a caller. Knows no file and no voice."""

from __future__ import annotations

import re
from dataclasses import dataclass

from spear_accel.checks import settle, tempo, whole
from spear_accel.errors import UserError

__all__ = ["MAX_CHARACTERS", "BadLine", "Line"]

MAX_CHARACTERS = 20_000
"""Of a line; it is one sound file, and this is about half an hour of speech."""
_ID = re.compile(r"[A-Za-z0-9][\w.@+-]{0,119}", re.ASCII)
_LONGEST_NAME = 200
"""Bytes of an id as a file's name, dots written as `%2E`; file systems take 255, endings included."""


@dataclass(frozen=True)
class Line:
    """One line of the input, which becomes one sample of the dataset.

    Raises:
        UserError: The id is no name for a file, the text is empty, too long or no Unicode, or a number is none
            or out of range. Numbers of numpy are taken.
    """

    number: int
    """Of the line in the input, counted from 1."""
    id: str
    """Unique in the input; names the files of the sample."""
    text: str
    seed: int | None = None
    speed: float = 1.0
    voice: str | None = None
    spoken: str | None = None
    """What is read in place of `text`: the normalised text of a corpus."""

    def __post_init__(self) -> None:
        settle(
            self,
            number=whole("number", self.number, 1),
            seed=None if self.seed is None else whole("its seed", self.seed),
            speed=tempo(self.speed, "its speed"),
        )
        _check_id(self.id)
        for text in (self.text, self.said):
            _check_text(text)

    @property
    def said(self) -> str:
        """What the voice reads."""
        return self.text if self.spoken is None else self.spoken


@dataclass(frozen=True)
class BadLine:
    """A line of the input that cannot be spoken, and why."""

    number: int
    id: str | None
    reason: str
    heading: bool = False
    """Whether it names the fields of the lines below it, and so is no failure."""


def _check_id(id: str) -> None:
    if not isinstance(id, str) or not _ID.fullmatch(id) or len(id.replace(".", "%2E")) > _LONGEST_NAME:
        raise UserError(
            f"the id {str(id)[:60]!r} is no name for a file; use at most 120 letters, figures and . _ - + @, "
            "a letter or figure first"
        )


def _check_text(text: str) -> None:
    if not isinstance(text, str) or not text.strip():
        raise UserError("its text is empty")
    if "\ud800" <= max(text) <= "\udfff" or any("\ud800" <= character <= "\udfff" for character in text):
        raise UserError("its text holds half a surrogate pair")
    if len(text) > MAX_CHARACTERS:
        raise UserError(f"its text has {len(text)} characters; split it, {MAX_CHARACTERS} are the most")
