"""Words in small letters that nobody can say: units without a figure ("in km") and names of programs ("gcc", "npm")."""

from __future__ import annotations

from spear_accel.text.english import tables
from spear_accel.text.english.measures import known_unit, unit_name
from spear_accel.text.english.numbers import Speller
from spear_accel.text.english.patterns import LOWER
from spear_accel.text.english.tokens import Match, previous_word, rule

__all__ = ["RULES"]

_SOUNDS = tables.words("sounds")


def _unsayable(match: Match, spell: Speller) -> str:
    word = match["word"]
    if (name := unit_name(word, one=previous_word(match) in ("per", "a", "one", "each"))) is not None:
        return name
    return " ".join(word.upper())


def _is_unsayable(match: Match) -> bool:
    """A unit is one by its own spelling only: "pt" and "st" are too often something else."""
    word = match["word"]
    return word not in _SOUNDS and not (known_unit(word) is not None and word in ("ct", "ft", "ly", "pt", "st", "b"))


RULES = (
    rule(
        "small letters",
        LOWER,
        r"(?<![\w'.&/-])(?P<word>[bcdfghjklmnpqrstvwxz]{2,5})(?![\w'&]|[./!-]\w)",
        _unsayable,
        _is_unsayable,
    ),
)
