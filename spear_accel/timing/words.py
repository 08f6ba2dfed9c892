"""From the letter that each token says to the time of each written word.

Pure functions of numbers and spans. Knows neither models nor formats.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import numpy as np
from numpy.typing import NDArray

from spear_accel.text.front_end import SpokenWord

__all__ = ["WordTime", "WrittenWord", "monotonic", "token_spans", "written_words"]


@dataclass(frozen=True)
class WordTime:
    """A word and when it is said, in seconds from the beginning of the sound."""

    word: str
    """As it is written: "$5" is one word."""
    start: float
    end: float
    span: tuple[int, int]
    """Where it stands in the written text."""
    last: bool = False
    """Whether its utterance ends with it."""
    whole: bool = False
    """Whether it is a whole utterance, because the model does not tell the times of its words."""

    def to_dict(self) -> dict[str, str | float]:
        """`word`, `start` and `end`, to the millisecond."""
        return {"word": self.word, "start": round(self.start, 3), "end": round(self.end, 3)}


@dataclass(frozen=True)
class WrittenWord:
    """A word of the written text, and where it stands in the text as it is read."""

    span: tuple[int, int]
    """In the written text."""
    spoken: tuple[int, int]
    """In the utterance."""


def written_words(words: Sequence[SpokenWord]) -> list[WrittenWord]:
    """The written words behind the spoken words of an utterance: those that share a source are one."""
    found: list[WrittenWord] = []
    for word in words:
        spoken_end = word.position + len(word.text)
        if found and word.start < found[-1].span[1]:
            last = found[-1]
            span = (last.span[0], max(last.span[1], word.end))
            found[-1] = WrittenWord(span, (last.spoken[0], spoken_end))
        else:
            found.append(WrittenWord((word.start, word.end), (word.position, spoken_end)))
    return found


def monotonic(path: Sequence[int]) -> NDArray[np.float64]:
    """The letter of each token [T], made non-decreasing.

    Where a path goes back, the mean of its highest place so far and its lowest place to come; elsewhere the path.
    """
    letters = np.asarray(path, dtype=np.float64)
    return (np.maximum.accumulate(letters) + np.minimum.accumulate(letters[::-1])[::-1]) / 2


def token_spans(path: Sequence[int], words: Sequence[tuple[int, int]]) -> list[tuple[float, float]]:
    """First token and the token behind the last of each word; fractions of tokens where words share one.

    Args:
        path: The letter of each token, EOS last, [n + 1] with n at least 1.
        words: First letter and the letter behind the last of each word, in order, without overlap.

    Returns:
        Spans within 0 to n, in order, without overlap, none of them empty.
    """
    places = monotonic(path)
    last = len(places) - 1
    starts = np.minimum(np.searchsorted(places, [first - 0.5 for first, _ in words]), last)
    ends = np.minimum(np.searchsorted(places, [stop - 0.5 for _, stop in words]), last)
    return _shared([(int(start), int(end)) for start, end in zip(starts, ends, strict=True)], words)


def _shared(spans: Sequence[tuple[int, int]], words: Sequence[tuple[int, int]]) -> list[tuple[float, float]]:
    """Words that got no token share those of the word behind them, at the end those of the word before, by letters."""
    filled = [number for number, (start, end) in enumerate(spans) if end > start]
    if not filled:
        # Only at an end: all words were passed over between two tokens.
        start, end = (min(start for start, _ in spans), max(end for _, end in spans)) if spans else (0, 0)
        return _split(max(0, start - 1), max(1, end), words)
    owners = [next((number for number in filled if number >= word), filled[-1]) for word in range(len(spans))]
    shared: list[tuple[float, float]] = []
    for owner, members in groupby(range(len(spans)), lambda word: owners[word]):
        start, end = spans[owner]
        shared += _split(start, end, [words[member] for member in members])
    return shared


def _split(start: float, end: float, words: Sequence[tuple[int, int]]) -> list[tuple[float, float]]:
    """A stretch of tokens dealt out to words by their letters."""
    letters = np.cumsum([0, *(max(1, stop - first) for first, stop in words)])
    edges = start + (end - start) * letters / max(1, letters[-1])
    return [(float(left), float(right)) for left, right in pairwise(edges)]
