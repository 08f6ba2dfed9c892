"""A text file -> what the model speaks to learn from, and what is held back to measure with."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from spear_accel.errors import UserError
from spear_accel.voice.voice import Voice

__all__ = ["Texts", "read_texts"]

_MOST_HELD, _HELD_SHARE = 40, 0.2


@dataclass(frozen=True)
class Texts:
    """Lines, and their ids without EOS. Those held back are never trained on, unless there is but one."""

    training: tuple[tuple[int, ...], ...]
    held: tuple[tuple[int, ...], ...]
    unusable: int
    """Lines that say nothing, or more than the model reads at once."""

    def enough(self, count: int) -> list[tuple[int, ...]]:
        """`count` different texts to measure with, held-back ones first; fewer where there are no more."""
        return list(dict.fromkeys((*self.held, *self.training)))[:count]


def read_texts(voice: Voice, lines: Sequence[str], source: str, seed: int) -> Texts:
    """Utterances of all lines, shuffled, each once.

    Raises UserError where no line can be used; `source` names the text, and the first reason is given.
    """
    found: dict[tuple[int, ...], None] = {}
    unusable, reason = 0, "it is empty"
    for line in lines:
        if not line.strip():
            continue
        try:
            found |= dict.fromkeys(tuple(ids) for ids in voice.text_ids(line))
        except UserError as error:
            reason = str(error) if not unusable else reason
            unusable += 1
    if not found:
        raise UserError(f"{source}: no line can be used ({reason}); give one sentence a line, in the voice's language")
    texts = list(found)
    random.Random(seed).shuffle(texts)
    held = max(1, min(_MOST_HELD, int(len(texts) * _HELD_SHARE)))
    return Texts(tuple(texts[held:] or texts), tuple(texts[:held]), unusable)
