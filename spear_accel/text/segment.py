"""Text -> paragraphs -> utterances short enough to be spoken in one breath.

Cuts after sentence marks, then, where a sentence is too long, at weaker marks, at spaces, and at last anywhere. Nothing
but white space is lost, and the work is linear in the text. Does not normalise and knows nothing about tokens. Give it
normalised text: there every dot that is left ends a sentence, so no list of abbreviations is needed here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

LONGEST = 220

_BLANK_LINE = re.compile(r"\n[^\S\n]*\n\s*|[\f\v\u2029]+")
# "Stop! he said" goes on: what ends in ? or ! before a small letter or a tag is speech inside a sentence.
_SPOKE = "said|asked|cried|replied|whispered|shouted|answered|exclaimed|muttered|yelled|screamed|called|added"
_SENTENCE_GAP = re.compile(
    r"(?<=\.)['\")\]]{0,3}\s+|"
    rf"(?<=[?!])['\")\]]{{0,3}}\s+(?![a-z]|(?:I|[A-Z][a-z]+(?: [A-Z][a-z]+)?) (?:{_SPOKE})\b)"
)
# From strong to weak; before a word that opens a clause or a phrase a breath is more natural than elsewhere.
_BREAKS = tuple(
    re.compile(pattern)
    for pattern in (
        r"[;:]\s",
        r"\s-\s|[\u2013\u2014]",
        r",\s",
        r"\s(?=(?:and|but|or|because|that|which|who|when|where|while|if|as|than)\s)",
        r"\s(?=(?:about|after|at|before|by|for|from|in|into|like|of|on|over|through|to|under|until|with|without)\s)",
        r"\s",
    )
)
# A break nearer than this share of the limit leaves a scrap, so a weaker one further on is taken.
_LEAST_SHARE = 0.35


def paragraphs(text: str, longest: int = 20_000) -> Iterator[str]:
    """Stretches between blank lines, white space trimmed; longer ones are handed out in pieces of about `longest`.

    Bounds the memory that later steps need.
    """
    return (text[start:stop] for start, stop in paragraph_spans(text, longest))


def paragraph_spans(text: str, longest: int = 20_000) -> Iterator[tuple[int, int]]:
    """Where `paragraphs` start and stop."""
    start = 0
    for gap in (*_BLANK_LINE.finditer(text), None):
        stop = gap.start() if gap else len(text)
        while stop - start > longest:
            cut = _cut(text, start, stop, longest)
            yield from _trimmed(text, start, cut)
            start = cut
        yield from _trimmed(text, start, stop)
        start = gap.end() if gap else stop


def segment(text: str, longest: int = LONGEST) -> list[str]:
    """Utterances of at most `longest` characters, in order, without white space at their ends.

    Joined with spaces they hold every non-space character of `text`. Empty for an empty text.
    """
    if longest < 1:
        raise ValueError(f"an utterance of at most {longest} characters cannot hold any text; give at least 1")
    utterances: list[str] = []
    start = 0
    for gap in (*_SENTENCE_GAP.finditer(text), None):
        stop = gap.end() if gap else len(text)
        while stop - start > longest and len(text[start:stop].strip()) > longest:
            cut = _cut(text, start, stop, longest)
            utterances.extend(_stripped(text[start:cut]))
            start = cut
        utterances.extend(_stripped(text[start:stop]))
        start = stop
    return utterances


def _cut(text: str, start: int, stop: int, longest: int) -> int:
    """Where to cut text[start:stop] at or before `longest`: at the strongest mark that leaves no scrap.

    Of several such marks the one that makes the pieces most alike, so that no stray word is left at the end.
    """
    window = text[start : start + longest]
    least = len(window) * _LEAST_SHARE
    pieces = -(-(stop - start) // longest)
    alike = (stop - start) / pieces
    for marks in (_SENTENCE_GAP, *_BREAKS):
        ends = [match.end() for match in marks.finditer(window) if match.end() > least]
        if ends:
            return start + min(ends, key=lambda end: abs(end - alike))
    return start + longest


def _stripped(text: str) -> tuple[str, ...]:
    text = text.strip()
    return (text,) if text else ()


def _trimmed(text: str, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """The stretch without white space at its ends, if anything is left."""
    piece = text[start:stop]
    if kept := piece.strip():
        start += len(piece) - len(piece.lstrip())
        yield start, start + len(kept)
