"""Powers, multiples and scales: "10⁶", "6.02 × 10^23", "2e-5", "3x faster", "2 x 3", "5k", "1.2 bn"."""

from __future__ import annotations

import re

from spear_accel.text.english import tables
from spear_accel.text.english.measures import LONG_UNIT, unit_name
from spear_accel.text.english.numbers import Speller
from spear_accel.text.english.patterns import DIGITS, NUMBER, SIGN, SIGNED
from spear_accel.text.english.tokens import Match, rule

__all__ = ["RULES"]

_SCALES = tables.pairs("scales")
_COUNTED = re.compile(
    r"\s(?:[a-z]+ )?(?:people|men|women|children|(?!was|this|has|as\b|is\b|its\b|does|plus)[a-z]{2,}[a-rt-z]s)\b"
)
_SCALE = "k|K|M|B|T|m|b|bn|mn|mln|bln|tn|trn"
_LEAST_THOUSANDS = 20
"""Of a "K" that multiplies: "300K" is a number, "4K" and "10K" are names."""
_RAISED = "[⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+"


def _power(match: Match, spell: Speller) -> str:
    base = spell.decimal(match["base"])
    unit = f" {unit_name(match['unit'], one=False)}" if match["unit"] else ""
    if match["exponent"] in ("²", "³"):
        return f"{base} {'squared' if match['exponent'] == '²' else 'cubed'}{unit}"
    return f"{base} to the power of {_exponent(match['exponent'], spell)}{unit}"


def _exponent(written: str, spell: Speller) -> str:
    figures = _superscript(written)
    minus = "minus " if figures[0] in "-−" else ""
    return minus + spell.cardinal(figures.lstrip("-−+"))


def _superscript(text: str) -> str:
    return text.translate(str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-")).strip("^{}()* ")


def _footnoted(match: Match, spell: Speller) -> str:
    """ "2020¹": the raised figure is the number of a note."""
    value = match["base"]
    return spell.year(value)


def _exponential(match: Match, spell: Speller) -> str:
    return f"{spell.decimal(match['value'])} times ten to the power of {_exponent(match['exponent'], spell)}"


def _scaled(match: Match, spell: Speller) -> str:
    minus = "minus " if match["sign"] else ""
    low = f"{spell.decimal(match['low'])} to " if match["low"] else ""
    return f"{minus}{low}{spell.decimal(match['value'])} {_SCALES[match['scale'] or match['spaced']]}"


def _is_scaled(match: Match) -> bool:
    """ "5k" and "1.5B" multiply; "a 7B model", "a 10K" and "4K" are names unless something counted follows."""
    if match["scale"] == "K" and match["value"].isdecimal() and int(match["value"]) >= _LEAST_THOUSANDS:
        return match.string[match.start() - 1 : match.start()] != "-"
    if match["scale"] in ("B", "K", "T", "m", "b"):
        return "." in match["value"] or bool(_COUNTED.match(match.string[match.end() : match.end() + 30]))
    return match["value"] != "401"


def _times(match: Match, spell: Speller) -> str:
    if match["low"]:
        return f"{spell.decimal(match['low'])} to {spell.decimal(match['value'])} times"
    text, start, end = match.string, match.start(), match.end()
    algebra = re.match(r"\s?[-+=*/^)²³]", text[end : end + 2]) or re.search(
        r"[=+*(^]\s?\Z", text[max(0, start - 2) : start]
    )
    return f"{spell.decimal(match['value'])} {'x' if algebra else 'times'}"


def _product(match: Match, spell: Speller) -> str:
    values = re.split(r"\s?[x×*]\s?", match["values"])
    if all(value.isdecimal() and len(value) in (3, 4) for value in values) and "*" not in match["values"]:
        return " by ".join(spell.pairs(value) for value in values)
    attached = not re.search(r"[\s*×]", match["values"]) and all(
        value.isdecimal() and len(value) <= 2 for value in values
    )
    if attached and not re.match(r"\s?=", match.string[match.end() : match.end() + 2]):
        return " by ".join(spell.cardinal(value) for value in values)
    return " times ".join(spell.decimal(value) for value in values)


RULES = (
    rule(
        "power",
        DIGITS,
        rf"(?P<value>{NUMBER})\s?[x×*·]\s?10(?P<exponent>{_RAISED}|\s?(?:\^|\*\*)\s?\{{?[-−+]?\d{{1,3}}\}}?)",
        _exponential,
    ),
    rule(
        "power",
        SIGNED,
        rf"(?P<value>{NUMBER})[eE](?P<exponent>[-+]?\d{{1,3}})\b",
        _exponential,
        lambda match: match["exponent"][0] in "+-" or "." in match["value"] or "e" in match.group(),
    ),
    rule("footnote", DIGITS, r"(?P<base>1[1-9]\d\d|20\d\d)[⁰¹²³⁴⁵⁶⁷⁸⁹]+(?!\w)", _footnoted),
    rule(
        "power",
        DIGITS,
        rf"(?P<base>{NUMBER})(?P<exponent>{_RAISED}|\s?(?:\^|\*\*)\s?\{{?[-−+]?\d{{1,4}}\}}?)(?![\d.])"
        rf"(?:\s(?P<unit>{LONG_UNIT})(?![\w/]))?",
        _power,
    ),
    rule(
        "scale",
        SIGNED,
        rf"{SIGN}(?:(?P<low>{NUMBER})(?:{_SCALE})?\s?[-–]\s?)?(?P<value>{NUMBER})"
        rf"(?:\s?(?P<spaced>bn|mn|mln|bln|trn|tn)|(?P<scale>{_SCALE}))(?![\w/'])",
        _scaled,
        _is_scaled,
    ),
    rule("product", DIGITS, rf"(?P<values>{NUMBER}(?:\s?[x×*]\s?{NUMBER}){{1,4}})(?!\w)", _product),
    rule(
        "multiple",
        DIGITS,
        rf"(?:(?P<low>{NUMBER})[xX×]?\s?[-–]\s?)?(?P<value>{NUMBER})[xX×](?!\w)",
        _times,
    ),
)
