"""Lengths and durations of several parts: "6'2\"", "5 ft 3 in", "8 x 10 cm", "2h 30m", "40°26′N", "1 c. milk"."""

from __future__ import annotations

import re

from spear_accel.text.english.amounts import amount
from spear_accel.text.english.measures import LONG_UNIT, UNIT, is_one, unit_name, unit_stop, value_words
from spear_accel.text.english.numbers import Speller
from spear_accel.text.english.patterns import AMOUNT, DIGITS, NUMBER, TO
from spear_accel.text.english.tokens import Match, rule

__all__ = ["RULES"]

_SPOONS = {"c": "cup", "C": "cup", "t": "teaspoon", "T": "tablespoon"}
_INCH_MARKS = ('"', "″", "''")
_SIDES = {"N": "north", "S": "south", "E": "east", "W": "west"}
_TIME_UNIT = r"(?:d|hrs?|h|mins?|m|secs?|s|ms|wks?|w|yrs?|y)"
_MARK = rf"(?:\"|″|''|′|'|\s?(?:{LONG_UNIT}|m)\b)"


def _tall(match: Match, spell: Speller) -> str:
    feet, inches = spell.cardinal(match["feet"]), amount(match["inches"].replace("-", " "), spell)
    return f"{feet} foot {inches}"


def _feet_inches(match: Match, spell: Speller) -> str:
    feet, inches = spell.cardinal(match["feet"]), spell.decimal(match["inches"])
    foot, inch = "foot" if feet == "one" else "feet", "inch" if inches == "one" else "inches"
    return f"{feet} {foot} {inches} {inch}{unit_stop(match)}"


def _marked(match: Match, spell: Speller) -> str:
    """Figures with the marks of feet and inches: `10" pizza`, `a 6' fence`."""
    one = is_one(match)
    name = ("inch" if one else "inches") if match["mark"] in _INCH_MARKS else ("foot" if one else "feet")
    return f"{value_words(match, spell)} {name}"


def _is_marked(match: Match) -> bool:
    """No quotation mark: none is open before it, and something goes on after it that could be measured."""
    text, start, end = match.string, match.start(), match.end()
    before = text[max(0, start - 160) : start]
    mark = match["mark"]
    if mark in "″′":
        return True
    if mark == '"':
        return (before.count('"') % 2 == 0 and text.find('"', end, end + 160) < 0) or bool(
            re.match(r"\s?(?:x|×|by)\s?\d", text[end:])
        )
    return (
        "'" not in before[-40:]
        and bool(re.match(r"(?:[ ,.;)]|\Z)", text[end : end + 1]))
        and not re.search(r"\b(?:19|20)\d\d\Z", match["value"])
    )


def _coordinates(match: Match, spell: Speller) -> str:
    words = f"{spell.decimal(match['degrees'])} degrees"
    if match["minutes"]:
        words += f" {spell.cardinal(match['minutes'])} minutes"
    if match["seconds"]:
        words += f" {spell.decimal(match['seconds'])} seconds"
    return words + (f" {_SIDES[match['side']]}" if match["side"] else "")


def _compound(match: Match, spell: Speller) -> str:
    """ "2h 30m", "1d 4h", "5lb 3oz": each figure with its unit."""
    words = []
    for value, unit in re.findall(rf"({NUMBER})\s?({UNIT}|[dwy])(?![A-Za-z])", match.group()):
        name = {"m": "minute", "d": "day", "w": "week", "y": "year"}.get(unit) or unit_name(unit, one=True) or ""
        words.append(f"{spell.decimal(value)} " + (name if value == "1" else _plural(name)))
    return " ".join(words) + unit_stop(match)


def _plural(name: str) -> str:
    return "feet" if name == "foot" else "inches" if name == "inch" else f"{name}s"


def _dimensions(match: Match, spell: Speller) -> str:
    values = re.findall(AMOUNT, match["values"])
    mark = match["mark"]
    marked = "inches" if mark in _INCH_MARKS else "feet" if mark in "'′" else unit_name(mark, one=False)
    return " by ".join(amount(value, spell) for value in values) + f" {marked}"


RULES = (
    rule(
        "measure",
        DIGITS,
        rf"(?P<value>{AMOUNT})\s(?P<spoon>[cCtT])\.\s(?=[a-z])",
        lambda match, spell: (
            f"{amount(match['value'], spell)} {_SPOONS[match['spoon']]}"
            f"{'' if match['value'] == '1' or '/' in match['value'][:3] else 's'} "
        ),
    ),
    rule(
        "measure",
        DIGITS,
        rf"(?P<values>{AMOUNT}{_MARK}?(?:\s?(?:[x×]|by)\s?{AMOUNT}{_MARK}?){{0,2}}\s?(?:[x×]|by)\s?{AMOUNT})\s?"
        rf"(?P<mark>\"|″|''|′|'|(?:{LONG_UNIT}|m)\b)",
        _dimensions,
    ),
    rule(
        "measure",
        DIGITS,
        r"(?P<degrees>\d{1,3}(?:\.\d+)?)°\s?(?P<minutes>\d{1,2})['′]\s?"
        r"(?:(?P<seconds>\d{1,2}(?:\.\d+)?)(?:\"|″|''|′′)\s?)?(?P<side>[NSEW])?(?!\w)",
        _coordinates,
    ),
    rule(
        "measure",
        DIGITS,
        r"(?P<degrees>\d{1,3}(?:\.\d+)?)°(?P<minutes>)(?P<seconds>)\s?(?P<side>[NSEW])(?!\w)",
        _coordinates,
    ),
    rule(
        "measure",
        DIGITS,
        r"(?P<feet>[1-9])['′]\s?(?P<inches>(?:1[01]|\d)(?:[ -]\d/\d)?)(?:\"|''|″|(?![\w'/]))",
        _tall,
        lambda match: match.group()[-1] in "\"'″" or "′" in match.group() or match["feet"] in "4567",
    ),
    rule(
        "time",
        DIGITS,
        r"(?P<minutes>\d{1,2})['′]\s?(?P<seconds>1[2-9]|[2-5]\d)(?:\"|''|″)(?!\w)",
        lambda match, spell: f"{spell.cardinal(match['minutes'])} minutes {spell.cardinal(match['seconds'])} seconds",
    ),
    rule("measure", DIGITS, rf"(?P<feet>\d{{1,4}})\s?(?:ft|feet)\.?,?\s?(?P<inches>{NUMBER})\s?in\b\.?", _feet_inches),
    rule("measure", DIGITS, rf"{NUMBER}\s?(?:lbs?|st)\.?,?\s?{NUMBER}\s?(?:oz|lbs?)\b\.?", _compound),
    rule(
        "measure",
        DIGITS,
        rf"\d{{1,4}}\s?{_TIME_UNIT}(?:(?:,?\s|(?=\d))\d{{1,3}}(?:\.\d+)?\s?{_TIME_UNIT}){{1,4}}(?!\w)\.?",
        _compound,
    ),
    rule(
        "measure",
        DIGITS,
        rf"(?P<sign>)(?:(?P<low>{AMOUNT})(?:\"|″|''|′|')?{TO})?(?P<value>{AMOUNT})(?P<mark>\"|″|''|′|')(?!\w)",
        _marked,
        _is_marked,
    ),
)
