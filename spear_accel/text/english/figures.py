"""Figures without a unit: ordinals, fractions, scores, ranges, versions, decimals, powers, scales, plain cardinals."""

from __future__ import annotations

from spear_accel.text.english.numbers import Speller, plural
from spear_accel.text.english.patterns import DIGITS, NUMBER, SIGN, SIGNED, WHOLE
from spear_accel.text.english.tokens import Match, rule

__all__ = ["CARDINAL_RULES", "EARLY_RULES", "RULES"]

# A run of digits this long is an account number or the like.
_LONG_RUN = 10


def _ordinal(match: Match, spell: Speller) -> str:
    return spell.ordinal(match["value"])


def _range(match: Match, spell: Speller) -> str:
    minus = "minus " if match["sign"] else ""
    return f"{minus}{spell.decimal(match['low'])} to {spell.decimal(match['high'])}"


def _number(match: Match, spell: Speller) -> str:
    return ("minus " if match["sign"] else "") + spell.decimal(match["value"])


def _is_decimal(match: Match) -> bool:
    """No missing space after a full stop: "done.5 more"."""
    before = match.string[max(0, match.start() - 2) : match.start()]
    return match.group()[0] != "." or not (len(before) == 2 and before.isalpha() and before.islower())


def _whole(match: Match, spell: Speller) -> str:
    text = match["value"]
    minus = "minus " if match["sign"] else ""
    return minus + (spell.digits(text) if len(text) >= _LONG_RUN and text.isdecimal() else spell.cardinal(text))


def _hundreds(match: Match, spell: Speller) -> str:
    """ "100s of", "1000s": so many and more."""
    words = spell.cardinal(match["value"] or match["ten"]).removeprefix("one ")
    return plural(words)


def _persons(match: Match, spell: Speller) -> str:
    """ "49ers", "B-52s", "6s and 7s"."""
    words = spell.cardinal(match["value"])
    if match["ending"] == "s":
        return plural(words)
    return {"nine": words[:-4] + "niner"}.get(words[-4:], words.removesuffix("e") + "er") + "s"


def _continental(match: Match, spell: Speller) -> str:
    return spell.decimal(match.group().replace(".", "").replace(",", "."))


_SPECIAL = {
    "24/7": "twenty-four seven", "9/11": "nine eleven", "7/7": "seven seven", "20/20": "twenty twenty",
    "4x4": "four by four", "50-50": "fifty-fifty", "24/7/365": "twenty-four seven three sixty-five",
}  # fmt: skip

EARLY_RULES = (
    rule(
        "idiom",
        DIGITS,
        r"(?:24/7/365|24/7|9/11|7/7|20/20|4x4|50-50)(?![\w/])",
        lambda match, spell: _SPECIAL[match.group()],
    ),
    rule(
        "ordinal",
        DIGITS,
        r"(?P<low>\d{1,4})(?:st|nd|rd|th)\s?[-–]\s?(?P<high>\d{1,4})(?:st|nd|rd|th)\b",
        lambda match, spell: f"{spell.ordinal(match['low'])} to {spell.ordinal(match['high'])}",
    ),
    rule("ordinal", DIGITS, rf"(?P<value>{WHOLE})(?i:st|nd|rd|th)\b", _ordinal),
    rule("cardinal", DIGITS, r"(?P<value>1(?:0{2,6}|0?0?(?:,000){1,2}))'?s\b|(?P<ten>10)'?s\b(?=\sof\b)", _hundreds),
    rule("cardinal", DIGITS, r"(?P<value>[1-9]\d{0,2})(?P<ending>'?s|ers)\b", _persons),
)
RULES = (
    rule("decimal", DIGITS, r"\d{1,3}(?:\.\d{3})+,\d{1,2}(?![\d,])", _continental),
    rule("range", DIGITS + "-−", rf"{SIGN}(?P<low>{NUMBER})\s?[-–—]\s?(?P<high>{NUMBER})(?![\w/-]|[.,]\d| ?=)", _range),
    rule("minus", "-–−", r"(?<=[\d)])[-–−](?=\d{1,9}(?:\.\d+)?\s?=)", " minus "),
    rule("decimal", SIGNED, rf"{SIGN}(?P<value>{WHOLE}?\.\d+)", _number, _is_decimal),
)
CARDINAL_RULES = (rule("cardinal", DIGITS + "-−–", rf"{SIGN}(?P<value>{WHOLE})", _whole),)
