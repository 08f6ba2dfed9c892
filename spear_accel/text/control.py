"""What a text says about its own reading: pauses, respellings of single words, SSML.

    Wait. [pause 1.5s] Mr. [Nguyen](say: win) is here.

Knows no language.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from spear_accel.text.english.source import Edit, Source
from spear_accel.text.ssml import is_ssml, read_ssml

__all__ = ["Script", "parts", "read_script"]

_SAY = re.compile(r"\[(?P<written>[^\[\]\n]{1,200})\]\(say:[ ]?(?P<said>[^()\n]{1,400})\)")
_PAUSE = re.compile(r"\[pause (?P<time>\d{1,5}(?:\.\d{1,3})?|\.\d{1,3}) ?(?P<unit>ms|s)\]", re.IGNORECASE)
LONGEST_PAUSE = 60.0
"""Seconds; longer ones are cut to this."""


@dataclass(frozen=True)
class Script:
    """A text as the front end gets it, its places in the text as the user gave it, and what to warn of."""

    source: Source
    warnings: tuple[str, ...] = ()


def read_script(text: str, ssml: bool = True) -> Script:
    """The text with its respellings in place and its pauses still marked; `ssml`: whether it may be a document.

    Raises:
        UserError: It is SSML that is not well-formed.
    """
    source, warnings = Source.of(text), tuple[str, ...]()
    if ssml and is_ssml(text):
        source, warnings = read_ssml(text)
    if "](say:" in source.text:
        source = source.edited(edit for match in _SAY.finditer(source.text) for edit in _say(match))
    return Script(source, warnings)


def parts(text: str, start: int, stop: int) -> Iterator[tuple[float, int, int]]:
    """The stretches of text[start:stop] between pauses, with the seconds of silence in front of each."""
    seconds = 0.0
    for match in _PAUSE.finditer(text, start, stop):
        yield seconds, start, match.start()
        seconds, start = min(LONGEST_PAUSE, _seconds(match)), match.end()
    yield seconds, start, stop


def _seconds(match: re.Match[str]) -> float:
    return float(match["time"]) / (1000 if match["unit"].lower() == "ms" else 1)


def _say(match: re.Match[str]) -> Iterator[Edit]:
    """Only what is written keeps its place, so that word times show it."""
    written = match.span("written")
    yield match.start(), written[0], ""
    yield written[0], written[1], match["said"].strip()
    yield written[1], match.end(), ""
