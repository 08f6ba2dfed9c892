"""A text that arrives in pieces which end nowhere, to utterances as soon as each is certain.

A language model writes a few letters at a time, and nobody should wait for its last word to hear the first sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from spear_accel.errors import UserError
from spear_accel.text.front_end import Normalised
from spear_accel.text.plan import PARAGRAPH_PAUSE, PlannedUtterance, pause_behind, plan

__all__ = ["TextFeed"]

_LEAST_GROWTH = 8
"""Characters: after fewer new ones nobody looks whether a sentence has ended."""
_LONGEST_WAIT = 4000
"""Characters that wait for the end of a sentence, at most."""
_WORDS_BEHIND = 4
"""Words of the next sentence that make an end certain: before, it may be an abbreviation, or "Stop!" may go on with
"he said"."""


class TextFeed:
    """Pieces of text in, utterances out: those that `plan` gives of the whole text, wherever the pieces end.

    An utterance is certain once its sentence has ended and a few words of another have come. A line end inside a
    paragraph is the exception: how lines are read depends on those behind them, and nobody waits for them. SSML is not
    read as such, since a document is none before its end.
    """

    def __init__(self, longest: int, read: Callable[[str], Normalised]) -> None:
        """As `plan`."""
        self._longest, self._read = longest, read
        self._waiting = ""
        self._offset = 0
        """Where what is waiting begins in the whole text."""
        self._pause = 0.0
        """In front of what is waiting."""
        self._looked_at = 0
        self._written: list[str] = []

    @property
    def text(self) -> str:
        """The whole text so far, which the places of words refer to."""
        return "".join(self._written)

    def push(self, piece: str) -> list[PlannedUtterance]:
        """Take in a piece; returns the utterances that are certain now."""
        self._written.append(piece)
        self._waiting += piece
        if len(self._waiting) - self._looked_at < max(_LEAST_GROWTH, len(self._waiting) // 32):
            return []
        self._looked_at = len(self._waiting)
        planned = self._plan()
        count = _certain(planned, len(self._waiting) > _LONGEST_WAIT)
        if not count:
            return []
        following, before = planned[count], planned[count - 1]
        # At the space between them, so that marks stay with their words; behind a pause, which is counted already.
        start, end = before.words[-1].end, following.words[0].start
        gap = max(self._waiting.rfind(" ", max(start, self._waiting.rfind("]", start, end)), end) + 1, start)
        return self._cut(planned[:count], gap, following.pause)

    def flush(self) -> list[PlannedUtterance]:
        """The utterances of all that waits: what comes later begins a new sentence."""
        planned = self._plan()
        return self._cut(planned, len(self._waiting), pause_behind(planned[-1].text) if planned else self._pause)

    def _plan(self) -> list[PlannedUtterance]:
        try:
            planned = list(plan(self._waiting, self._longest, self._read, ssml=False))
        except UserError:
            return []
        return [replace(planned[0], pause=self._pause), *planned[1:]]

    def _cut(self, planned: Sequence[PlannedUtterance], end: int, pause: float) -> list[PlannedUtterance]:
        """Hand over `planned`, which ends at `end` of what waits; `pause` follows it."""
        placed = [
            replace(
                one, words=tuple(w._replace(start=w.start + self._offset, end=w.end + self._offset) for w in one.words)
            )
            for one in planned
        ]
        self._waiting, self._offset, self._pause = self._waiting[end:], self._offset + end, pause
        self._looked_at = 0
        return placed


def _certain(planned: Sequence[PlannedUtterance], at_any_place: bool) -> int:
    """How many of the utterances will not change, whatever comes behind them."""
    for count in range(len(planned) - 1, 0, -1):
        before, following = planned[count - 1], planned[count]
        if not (before.words and following.words):
            continue
        # A sentence that is cut into parts is cut elsewhere when it grows.
        ended = following.pause >= PARAGRAPH_PAUSE or before.text.rstrip("'\")]")[-1:] in ".?!"
        if at_any_place or (ended and (count < len(planned) - 1 or len(following.words) >= _WORDS_BEHIND)):
            return count
    return 0
