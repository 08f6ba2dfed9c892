"""Tokens' words -> the text that is read aloud: one mark between words, single spaces, nothing dangling at the ends.

The text holds only letters a-z and A-Z, single spaces, the apostrophe and `, . ? ! ; : -`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from spear_accel.text.front_end import SpokenWord

__all__ = ["BRACKET", "DASH", "Composer"]

_PIECES = re.compile(r"[A-Za-z]+(?:'[A-Za-z]*)?|'[A-Za-z]+|[,.?!;:\n]|-| +|[—–]")
DASH = "—"
_CHARACTERS = re.compile(r"[^,.?!;:\n—-]")
_USUAL = {gap: gap for gap in (" ", ", ", ". ", "! ", "? ", "; ", ": ", "-")}
_RUNS = re.compile(r"\.([,;:])")
BRACKET = "("
"""Between words a comma; at the end of the text nothing."""


class Composer:
    """Takes words and what stands between them, in order; "~" stands for a sign that nobody reads."""

    def __init__(self, readings: Mapping[str, str]) -> None:
        """readings: of words that would be read otherwise if the result were read again."""
        self._readings = readings
        self._parts: list[str] = []
        self._words: list[SpokenWord] = []
        self._length = 0
        self._gap = ""
        self.unsure: list[int] = []
        """Places in the text beside words that no plain word gave, or where several marks became one."""

    def gap(self, marks: str) -> None:
        """Spaces and marks after the last word; `—` is a dash, a line end the end of a sentence or item."""
        self._gap += marks

    def word(self, text: str, start: int, end: int) -> None:
        """One word, read from source[start:end]."""
        if self._parts:
            joint = _USUAL.get(self._gap)
            if joint is None:
                joint = _joint(self._gap, text)
                self.unsure.append(self._length)
            self._parts.append(joint)
            self._length += len(joint)
        elif self._gap:
            self.unsure.append(0)
        self._parts.append(text)
        self._words.append(SpokenWord(text, self._length, start, end))
        self._length += len(text)
        self._gap = ""

    def phrase(self, text: str, start: int, end: int) -> None:
        """Words with marks between them, all read from source[start:end]."""
        self.unsure.append(self._length)
        for piece in _PIECES.findall(text):
            if piece in self._readings:
                self.phrase(self._readings[piece], start, end)
            elif piece[0].isalpha() or (piece[0] == "'" and len(piece) > 1):
                self.word(piece, start, end)
            else:
                self.gap(piece)

    def suffix(self, text: str, end: int) -> None:
        """An ending such as "'s" of the last word."""
        if not self._parts or self._gap.strip("."):
            return
        last = self._words[-1]
        self._gap = ""
        self._parts[-1] += text
        self._words[-1] = last._replace(text=last.text + text, end=end)
        self._length += len(text)

    def finish(self) -> tuple[str, tuple[SpokenWord, ...]]:
        """The text and its words."""
        closing = _joint(self._gap.replace(BRACKET, " "), "").rstrip(" -") if self._parts else ""
        if closing != self._gap:
            self.unsure.append(self._length)
        return "".join(self._parts) + closing, tuple(self._words)


def _joint(gap: str, following: str) -> str:
    """One mark for a run of them, and one space after it."""
    run = _CHARACTERS.sub("", gap.replace(BRACKET, ","))
    if not run:
        return " "
    if run == "-" and gap == "-" and following:
        return "-"
    run = run.replace("-", "")
    for mark in "?!":
        if mark in run:
            return f"{mark} "
    if found := _RUNS.match(run):
        return f"{found[1]} "
    if ".." in run and following[:1].islower():
        return ", "
    for mark in ".;:,":
        if mark in run:
            return f"{mark} "
    if "\n" in run:
        return ". "
    return " - " if run else " "
