"""Fractions, ratings and ratios: "1/2", "1-1/2", "2/3rds", "50/50", "4.5/5 stars", "page 1/3", "16:9"."""

from __future__ import annotations

import re

from spear_accel.text.english.amounts import amount
from spear_accel.text.english.numbers import Speller
from spear_accel.text.english.patterns import DIGITS, NUMBER, SIGN, SIGNED, WHOLE
from spear_accel.text.english.tokens import Match, previous_word, rule

__all__ = ["RULES"]

_PAGED = re.compile(
    r"(?:page|step|part|slide|day|question|chapter|episode|photo|image|exercise|tweet|thread)\Z", re.IGNORECASE
)
_RATED = re.compile(r"(?:rated|rating|score|scored|got|gave|earned|grade|averages?|review)\Z", re.IGNORECASE)
_FULL_MARKS = ("5", "10", "12", "15", "20", "25", "30", "40", "50", "60", "100")
_FRACTION = r"(?:\d{1,4}\s)?\d{1,4}/[1-9]\d{0,3}"


def _fraction(match: Match, spell: Speller) -> str:
    spoken = ("minus " if match["sign"] else "") + _unsigned_fraction(match, spell)
    before_noun = re.match("-[a-z]", match.string[match.end() : match.end() + 2])
    return spoken.removesuffix("s") if before_noun else spoken


def _unsigned_fraction(match: Match, spell: Speller) -> str:
    text = match["amount"]
    whole, _, rest = text.replace("-", " ").rpartition(" ")
    top, bottom = rest.split("/")
    if whole and int(top) >= int(bottom):
        return f"{spell.cardinal(whole)} {spell.fraction(top, bottom)}"
    after = match.string[match.end() : match.end() + 6]
    if not whole and re.match(r"\s?=", after):
        return f"{spell.cardinal(top)} divided by {spell.cardinal(bottom)}"
    if not whole and (int(top) + int(bottom) == 100 or re.match(r"\stime\b", after)):
        return f"{spell.cardinal(top)}-{spell.cardinal(bottom)}"
    if not whole and top == bottom:
        return f"{spell.cardinal(top)} out of {spell.cardinal(bottom)}"
    if not whole and _PAGED.match(previous_word(match)):
        return f"{spell.cardinal(top)} of {spell.cardinal(bottom)}"
    if not whole and int(top) >= 1 and int(bottom) > 20 and int(bottom) % 100 and int(bottom) not in (24, 32, 64):
        return f"{spell.cardinal(top)} over {spell.cardinal(bottom)}"
    return amount(text.replace("-", " "), spell)


def _out_of(match: Match, spell: Speller) -> str:
    return f"{spell.decimal(match['a'])} out of {spell.decimal(match['b'])}"


def _is_rating(match: Match) -> bool:
    """ "4.5/5", "rated 8/10": marks out of so many."""
    if "." in match["a"] or "." in match["b"]:
        return True
    if re.match(r"\s(?:stars?|points?|marks?|rating)\b", match.string[match.end() : match.end() + 8]):
        return True
    return match["b"] in _FULL_MARKS and bool(_RATED.match(previous_word(match)))


def _ratio(match: Match, spell: Speller) -> str:
    return " to ".join(spell.decimal(part) for part in match.group().split(":"))


RULES = (
    rule("ratio", DIGITS, rf"{WHOLE}(?::{WHOLE}){{1,3}}(?![\w:])", _ratio),
    rule(
        "year",
        DIGITS,
        r"(?P<a>1[5-9]\d\d|20\d\d)/(?P<b>\d\d|20\d\d)(?![\w/]|[.,]\d)",
        lambda match, spell: f"{spell.year(match['a'])} {spell.short_year(match['b'])}",
    ),
    rule(
        "range",
        DIGITS,
        rf"(?P<low>{_FRACTION})\s?[-–]\s?(?P<high>{_FRACTION})(?![\w/])",
        lambda match, spell: f"{amount(match['low'], spell)} to {amount(match['high'], spell)}",
    ),
    rule("rating", DIGITS, rf"(?P<a>{NUMBER})/(?P<b>{NUMBER})(?![\w/]|[.,]\d)", _out_of, _is_rating),
    rule(
        "fraction",
        SIGNED,
        rf"{SIGN}(?P<amount>(?:\d{{1,9}}[ -])?\d{{1,9}}/[1-9]\d{{0,8}})(?:st|nd|rds?|ths?|s)?(?![\w/]|[.,]\d)",
        _fraction,
    ),
)
