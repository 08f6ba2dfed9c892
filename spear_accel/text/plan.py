"""A text -> the utterances that are decoded one by one, and the silence in front of each. Knows no ids."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from spear_accel.errors import UserError
from spear_accel.text.control import parts, read_script
from spear_accel.text.english.source import Source
from spear_accel.text.front_end import Normalised, SpokenWord, verbatim
from spear_accel.text.segment import paragraph_spans, segment

__all__ = ["PARAGRAPH_PAUSE", "PlannedUtterance", "closed", "pause_behind", "plan", "verbatim"]

# Seconds of silence that follow an utterance, by its last mark; a cut in the middle of a sentence has none.
_PAUSES = {".": 0.2, "?": 0.2, "!": 0.2, ";": 0.12, ":": 0.12, ",": 0.08}
PARAGRAPH_PAUSE = 0.45
"""Seconds of silence that follow a paragraph, at least."""
_MOST_SPACES_OF_SHORT = 1


@dataclass(frozen=True)
class PlannedUtterance:
    """An utterance to come: text as it is read, the silence in front of it in seconds, and what to warn of."""

    text: str
    pause: float
    warnings: tuple[str, ...]
    words: tuple[SpokenWord, ...] = ()
    """With their places in `text` and in the whole written text; empty where the front end keeps no sources."""


def plan(text: str, longest: int, read: Callable[[str], Normalised], ssml: bool = True) -> Iterator[PlannedUtterance]:
    """The utterances of a text, of at most `longest` characters each as `read` gives them.

    Marks of control (`text/control.py`) are followed; `ssml`: whether the text may be an SSML document. A word or two
    without a mark at the end get a full stop: without one, short texts are said on and on.
    Raises UserError when there are none, or when the SSML is not well-formed.
    """
    script = read_script(text, ssml)
    source, notes = script.source, script.warnings
    pause = 0.0
    last: PlannedUtterance | None = None  # Held back until it is known what is left out behind it.
    for start, stop in paragraph_spans(source.text):
        for asked, first, end in parts(source.text, start, stop):
            pause = max(pause, asked)
            spoken = read(source.text[first:end])
            notes += spoken.warnings
            at = 0
            for utterance in segment(spoken.text, longest):
                at = spoken.text.index(utterance, at)
                words = _within(spoken.words, at, at + len(utterance), first, source)
                if last is not None:
                    yield last
                last = PlannedUtterance(utterance if read is verbatim else closed(utterance), pause, notes, words)
                at += len(utterance)
                pause, notes = pause_behind(utterance), ()
        pause = max(pause, PARAGRAPH_PAUSE) if last is not None else 0.0
    if last is not None:
        yield replace(last, warnings=last.warnings + notes)
    else:
        reason = "; ".join(notes) or ("it is empty" if not text.strip() else "it holds no word and no figure")
        raise UserError(f"nothing in the text can be read aloud: {reason}")


def pause_behind(utterance: str) -> float:
    """Seconds of silence that follow an utterance inside a paragraph."""
    return _PAUSES.get(utterance[-1:], 0.0)


def closed(utterance: str) -> str:
    """With a full stop where a word or two have no mark at the end."""
    return f"{utterance}." if utterance[-1:].isalpha() and utterance.count(" ") <= _MOST_SPACES_OF_SHORT else utterance


def _within(words: Sequence[SpokenWord], first: int, last: int, offset: int, source: Source) -> tuple[SpokenWord, ...]:
    """The words at first..last of a part's text, placed in the utterance and in the whole written text."""
    low = bisect_left(words, first, key=_position)
    high = bisect_left(words, last, key=_position)
    return tuple(
        SpokenWord(word.text, word.position - first, *source.span(word.start + offset, word.end + offset))
        for word in words[low:high]
    )


def _position(word: SpokenWord) -> int:
    return word.position
