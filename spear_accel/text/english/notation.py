"""Notations with letters of their own: chemical formulas ("NaCl", "CaCO3"), chess moves ("Nf3"), grades ("A+").

Formulas of capitals and figures alone ("H2O") are codes and need no rule here.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from spear_accel.text.english.numbers import Speller
from spear_accel.text.english.patterns import UPPER
from spear_accel.text.english.tokens import Match, previous_word, rule

__all__ = ["RULES"]

_ELEMENT = (
    "He|Li|Be|Ne|Na|Mg|Al|Si|Cl|Ar|Ca|Sc|Ti|Cr|Mn|Fe|Co|Ni|Cu|Zn|Ga|Ge|As|Se|Br|Kr|Rb|Sr|Zr|Nb|Mo|Ag|Cd|In|Sn|Sb|Te|"
    "Xe|Cs|Ba|La|Pt|Au|Hg|Pb|Bi|Ra|Th|[HBCNOFPSKVYIWU]"
)
_PARTNER = re.compile(r"(?:Cl|Br|OH|O|F|I|S|N|As|P|H)\d*\Z")
_FORMULA_PARTS = re.compile(rf"{_ELEMENT}|\d+")
_PIECES = {"K": "king", "Q": "queen", "R": "rook", "B": "bishop", "N": "knight"}


def _formula(match: Match, spell: Speller) -> str:
    return " ".join(
        spell.cardinal(part) if part.isdecimal() else " ".join(part.upper())
        for part in _FORMULA_PARTS.findall(match.group())
    )


def _is_formula(match: Match) -> bool:
    """Elements with figures, or a metal with what it combines with; "CoCo" and "HeLa" are neither."""
    written = match.group()
    if not any(letter.islower() for letter in written):
        return False
    return any(character.isdecimal() for character in written) or bool(_PARTNER.search(written))


def _move(match: Match, spell: Speller) -> str:
    words = [_PIECES[match["piece"]], (match["origin"] or "").upper(), "takes" if match["takes"] else ""]
    words += [match["file"].upper(), spell.cardinal(match["rank"])]
    words.append({"+": "check", "#": "mate"}.get(match["check"] or "", ""))
    return " ".join(word for word in words if word)


def _letter_with(word: str) -> Callable[[Match, Speller], str]:
    """Reads a letter with a word behind it, as in the grades "A plus" and "B minus"."""
    return lambda match, spell: f"{match['letter']} {word}"


RULES = (
    rule("grade", "ABCDEF", r"(?P<letter>[A-F])\+(?![\w+])", _letter_with("plus")),
    rule(
        "grade",
        "ABCDEF",
        r"(?P<letter>[A-F])[-−](?=[\s.,;!?)]|\Z)",
        _letter_with("minus"),
        lambda match: bool(re.match(r"(?:an?|the|got|of|grade|with|or|to)\Z", previous_word(match))),
    ),
    rule("name", "C", r"C\+\+(?!\w)", "C plus plus"),
    rule("name", "CFGAD", r"(?P<letter>[CFGAD])#(?!\w)", _letter_with("sharp")),
    rule(
        "chess move",
        "KQRBN",
        r"(?P<piece>[KQRBN])(?P<origin>[a-h])?(?P<takes>x)?(?P<file>[a-h])(?P<rank>[1-8])(?P<check>[+#])?(?!\w)",
        _move,
    ),
    rule("formula", UPPER, rf"(?:(?:{_ELEMENT})\d{{0,2}}){{2,8}}(?![\w'])", _formula, _is_formula),
)
