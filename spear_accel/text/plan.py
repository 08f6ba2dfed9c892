"""A text -> the utterances that are decoded one by one, and the silence in front of each. Knows no ids."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from spear_accel.errors import UserError
from spear_accel.text.normalise import Normalised
from spear_accel.text.segment import paragraphs, segment

__all__ = ["PlannedUtterance", "plan", "verbatim"]

# Seconds of silence that follow an utterance, by its last mark; a cut in the middle of a sentence has none.
_PAUSES = {".": 0.2, "?": 0.2, "!": 0.2, ";": 0.12, ":": 0.12, ",": 0.08}
_PARAGRAPH_PAUSE = 0.45


@dataclass(frozen=True)
class PlannedUtterance:
    """An utterance to come: text as it is read, the silence in front of it in seconds, and what to warn of."""

    text: str
    pause: float
    warnings: tuple[str, ...]


def plan(text: str, longest: int, read: Callable[[str], Normalised]) -> Iterator[PlannedUtterance]:
    """The utterances of a text, of at most `longest` characters each as `read` gives them.

    Raises UserError when there are none.
    """
    pause, found = 0.0, False
    notes: tuple[str, ...] = ()
    for paragraph in paragraphs(text):
        spoken = read(paragraph)
        notes += spoken.warnings
        for utterance in segment(spoken.text, longest):
            yield PlannedUtterance(utterance, pause, notes)
            pause, found, notes = _PAUSES.get(utterance[-1], 0.0), True, ()
        pause = max(pause, _PARAGRAPH_PAUSE) if found else 0.0
    if not found:
        reason = "; ".join(notes) or ("it is empty" if not text.strip() else "it holds no word and no figure")
        raise UserError(f"nothing in the text can be read aloud: {reason}")


def verbatim(text: str) -> Normalised:
    """A text as it is written, with single spaces and without control characters, in Unicode's composed form."""
    kept = "".join(c if unicodedata.category(c) != "Cc" else " " for c in unicodedata.normalize("NFC", text))
    return Normalised(" ".join(kept.split()))
