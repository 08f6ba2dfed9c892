"""English text as people write it -> text as it is read aloud.

The output holds only letters a-z and A-Z, single spaces, the apostrophe and `, . ? ! ; : -`. Case is kept: the
tokenizer folds it if it was trained so. Normalising a result again changes nothing. Does not split sentences and does
not know about tokens. Work and memory grow linearly with the text.
"""

from __future__ import annotations

from dataclasses import dataclass

from spear_accel.text import abbreviations, dates, figures, punctuation, quantities, web
from spear_accel.text.fold import describe_dropped, fold
from spear_accel.text.rules import apply

# Expanding one abbreviation can bring another into view; more rounds than this were never needed.
_MOST_ROUNDS = 4


@dataclass(frozen=True)
class Normalised:
    """`text` as it is to be read (empty when nothing in it can be) and one line for each thing left out."""

    text: str
    warnings: tuple[str, ...] = ()


def normalise(text: str) -> Normalised:
    """Read figures, signs, abbreviations and addresses out in words; drop, with a warning, what English cannot read."""
    folded, dropped = fold(text)
    warnings = (describe_dropped(dropped),) if dropped else ()
    if not any(character.isalnum() for character in folded):
        return Normalised("", warnings)
    for _ in range(_MOST_ROUNDS):
        spoken = _read(folded)
        if spoken == folded:
            break
        folded = spoken
    return Normalised(folded, warnings)


def _read(text: str) -> str:
    for rules in (
        web.RULES,
        dates.RULES,
        quantities.RULES,
        abbreviations.RULES,
        figures.RULES,
        punctuation.SIGN_RULES,
        abbreviations.CAPITAL_RULES,
    ):
        text = apply(rules, text)
    return punctuation.tidy(text)
