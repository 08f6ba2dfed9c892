"""Words with times to captions: a line or two of the written text that stand on a screen together.

Knows no file format.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from spear_accel.timing.words import WordTime

__all__ = ["Caption", "captions"]

_LINE_WIDTH, _MOST_LINES = 42, 2
"""As broadcasters' guides have it: lines of up to 42 characters, two of them."""
_MOST_SECONDS, _LEAST_SECONDS = 7.0, 1.0
_LONGEST_GAP = 1.0
"""Seconds of silence that end a caption."""


@dataclass(frozen=True)
class Caption:
    """Text and the time that it is shown, in seconds."""

    start: float
    end: float
    lines: tuple[str, ...]


def captions(words: Sequence[WordTime], text: str) -> list[Caption]:
    """Captions of the words of `text`, with its marks, in order and without overlap.

    A caption ends with an utterance, at a longer silence, or where no more fits. A short one stays for a second, if the
    next one leaves it the time.
    """
    groups = list(_groups(words, text))
    shown: list[Caption] = []
    for number, (first, last) in enumerate(groups):
        following = words[groups[number + 1][0]].start if number + 1 < len(groups) else float("inf")
        start = words[first].start
        end = max(words[last].end, min(start + _LEAST_SECONDS, following))
        shown.append(Caption(start, end, _lines(_written(words, first, last, text))))
    return shown


def _groups(words: Sequence[WordTime], text: str) -> Iterator[tuple[int, int]]:
    """First and last word of each caption."""
    first = 0
    for number, word in enumerate(words[:-1]):
        following = words[number + 1]
        if (
            word.last
            or following.end - words[first].start > _MOST_SECONDS
            or following.start - word.end > _LONGEST_GAP
            or not _fits(_written(words, first, number + 1, text))
        ):
            yield first, number
            first = number + 1
    if words:
        yield first, len(words) - 1


def _written(words: Sequence[WordTime], first: int, last: int, text: str) -> str:
    """The written text of some words, with the marks before the next word."""
    if words[last].whole:
        return words[last].word
    # A mark that opens something belongs to the word behind it.
    stop = words[last + 1].span[0] if last + 1 < len(words) and not words[last + 1].whole else len(text)
    opened = len(text[words[last].span[1] : stop]) - len(text[words[last].span[1] : stop].rstrip("(['\"\u2018\u201c"))
    start = words[first].span[0]
    before = text[words[first - 1].span[1] if first else 0 : start]
    start -= len(before) - len(before.rstrip("(['\"\u2018\u201c"))
    return " ".join(text[start : stop - opened].split())


def _fits(written: str) -> bool:
    return len(textwrap.wrap(written, _LINE_WIDTH)) <= _MOST_LINES


def _lines(written: str) -> tuple[str, ...]:
    """One line, or two of about one length; more only for a sentence whose words are not known."""
    if len(written) <= _LINE_WIDTH:
        return (written,)
    for width in range(len(written) // 2, _LINE_WIDTH + 1):
        lines = textwrap.wrap(written, width, break_long_words=False)
        if len(lines) <= _MOST_LINES:
            return tuple(lines)
    return tuple(textwrap.wrap(written, _LINE_WIDTH))
