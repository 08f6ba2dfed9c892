"""Measures: figures with units ("5 km", "6 ft. tall", "20°–25°C", "100 MB/s", "2h 30m", "6'2\\""), and percentages."""

from __future__ import annotations

import re

from spear_accel.text.english import tables
from spear_accel.text.english.amounts import amount
from spear_accel.text.english.numbers import Speller
from spear_accel.text.english.patterns import AMOUNT, DIGITS, LETTERS, NUMBER, SIGN, TO
from spear_accel.text.english.tokens import Match, previous_word, rule, sentence_ends, starts_name

__all__ = ["RULES", "UNIT", "unit_name"]

_UNITS = {row[0]: (row[1], row[2]) for row in tables.rows("units")}
_WHEN = {row[0]: row[3] for row in tables.rows("units")}
_ANY_CASE = {name.lower(): name for name in reversed(list(_UNITS)) if len(name) > 1} | {"mb": "MB", "kb": "KB", "gb": "GB"}
UNIT = tables.alternatives(set(_UNITS))
_LONG = tables.alternatives({name for name in _UNITS if len(name) > 1})
_SHORT = tables.alternatives({name for name in _UNITS if len(name) == 1})
_ANY = rf"(?:(?i:{_LONG})|{_SHORT})"
_AREA = r"(?:(?P<area>sq|cu|square|cubic)\.?\s)"
_WHOLE_UNIT = (
    rf"(?:{_AREA}?(?P<unit>{_ANY})(?P<power>[²³]|\^[23]|(?<=m)[23])?(?:\.?\s?/\s?(?P<per>{_ANY}|[a-z]{{3,12}})"
    r"(?P<per_power>[²³]|\^[23])?)?)"
)
_POWERS = {"2": "square ", "3": "cubic ", "²": "square ", "³": "cubic ", "sq": "square ", "cu": "cubic ",
           "square": "square ", "cubic": "cubic "}  # fmt: skip
_LENGTHS_OF_TIME = frozenset(("d", "h", "hr", "hrs", "m", "min", "mins", "s", "sec", "secs", "w", "wk", "wks", "y", "yr", "yrs", "ms"))
_MINUTES_BEFORE = re.compile(r"(?:in|for|after|every|within|takes|took|lasted|another|last|next|past|about|just)\Z")
_MINUTES_AFTER = re.compile(r"\s(?:remaining|left|ago|later|read|walk|drive|ride|break|timeout|timer|early|late|into|and \d+s\b)")
_TIME_AFTER = re.compile(r"\s(?:ago|left|remaining|later|old|trial|warranty|contract|timeout|delay|countdown|clip|interval|timer|limit)\b")
_LASTING = re.compile(r"(?:in|for|after|every|within|takes|took|wait|waited|about|only|timeout|lasts|lasted)\Z")
_CLOSED = re.compile(r"[.,;:)]|\Z|\s(?:to|and|or|for|of|at|after|before|later|long|each|per)\b")
_MILLIONS = re.compile(r"\s(?:dollars|pounds|euros|people|users|followers|views|subscribers|downloads|copies|homes|jobs|customers|visitors)\b")
_SEATS = re.compile(r"(?:seat|apt|apartment|room|row|gate|unit|suite|flat|building|level|bus|figure|table|no|number)\Z", re.I)
_NAMED_DEGREES = {"C": "degrees Celsius", "F": "degrees Fahrenheit", "K": "kelvin", "N": "degrees north",
                  "S": "degrees south", "E": "degrees east", "W": "degrees west"}  # fmt: skip
_INCH_MARKS = ('"', "″", "''")
_SIDES = {"N": "north", "S": "south", "E": "east", "W": "west"}


def _known(unit: str) -> str | None:
    """The table's spelling of a unit."""
    return unit if unit in _UNITS else _ANY_CASE.get(unit.lower()) if len(unit) > 1 else None


def unit_name(unit: str, one: bool) -> str | None:
    """The name of a unit, or None where it is unknown."""
    known = _known(unit)
    return None if known is None else _UNITS[known][0 if one else 1]


def _name(match: Match, one: bool) -> str:
    """The whole unit: area or power, name, and what it is divided by."""
    unit = _known(match["unit"]) or ""
    if _is_minutes(match, unit):
        return "minute" if one else "minutes"
    size = _POWERS.get((match["area"] or (match["power"] or "")[-1:]), "")
    words = size + _UNITS[unit][0 if one else 1]
    if match["per"]:
        per_size = {"2": " squared", "²": " squared", "3": " cubed", "³": " cubed"}.get((match["per_power"] or "")[-1:], "")
        if _known(match["per"]) and match["per"] not in ("s", "h", "d") and per_size:
            per_size, words = "", f"{words} per {_POWERS[(match['per_power'] or '')[-1:]]}{unit_name(match['per'], one=True)}"
        else:
            words = f"{words} per {unit_name(match['per'], one=True) or match['per']}"
        words += per_size
    return words


def _is_minutes(match: Match, unit: str) -> bool:
    """ "56m remaining" and "in 5m", but "a 100m race"."""
    if unit != "m" or match["gap"] or match["per"] or match["power"] or match["area"]:
        return False
    return bool(_MINUTES_AFTER.match(match.string, match.end())) or (
        bool(_MINUTES_BEFORE.match(previous_word(match))) and not re.match(r"\s[a-z]", match.string[match.end() : match.end() + 2])
    )


def _is_one(match: Match) -> bool:
    return (match["value"] == "1" and not match["low"]) or "/" in match["value"][:3]


def _value(match: Match, spell: Speller) -> str:
    """Sign, optional lower end and value."""
    minus = "minus " if match["sign"] else ""
    high = "minus " if match.groupdict().get("high_sign") else ""
    low = f"{amount(match['low'], spell)} to {high}" if match["low"] else ""
    return f"{minus}{low}{amount(match['value'], spell)}"


def _measure(match: Match, spell: Speller) -> str:
    hyphen = match["gap"] == "-"
    if hyphen and _is_one(match) and not match["value"].startswith("1"):
        return f"{_value(match, spell).removesuffix('s')}-{_name(match, one=True)}"
    joint = "-" if hyphen else " "
    return f"{_value(match, spell)}{joint}{_name(match, _is_one(match) or hyphen)}{_unit_stop(match)}"


def _unit_stop(match: Match) -> str:
    """The dot of an abbreviated unit ends the sentence too where one can begin."""
    if not match.group().endswith("."):
        return ""
    at_end = sentence_ends(match.string, match.end()) or starts_name(match.string, match.end())
    return "." if at_end else ""


def _is_measure(match: Match) -> bool:
    unit = _known(match["unit"])
    if unit is None:
        return False
    when, gap = _WHEN[unit], match["gap"]
    if match["area"] or match["power"] or match["per"]:
        return when != "attached" or not gap or bool(match["area"])
    if unit == "m" and not gap and _MILLIONS.match(match.string, match.end()):
        return False
    if when == "attached":
        if not gap:
            return match["unit"] != "s" or not match["value"].endswith("0") or not _is_decade_like(match)
        return gap == "-" or (unit == "in" and _inches_follow(match)) or (unit in ("second", "s", "A", "N") and bool(_CLOSED.match(match.string, match.end())))
    if when == "sign":
        return not gap or not starts_name(match.string, match.end())
    if when == "space":
        return bool(gap)
    if when == "compound":
        return bool(_TIME_AFTER.match(match.string, match.end()))
    return when == "any"


def _inches_follow(match: Match) -> bool:
    """ "12 in. wide" but "5 in the morning"."""
    text, end = match.string, match.end()
    if match.group().endswith("."):
        return True
    return bool(re.match(r"\s?(?:x|×|by)\s?\d|\s(?:wide|long|tall|high|deep|thick|diameter|square|of rain|of snow)\b|[,;)]", text[end : end + 12]))


def _is_decade_like(match: Match) -> bool:
    return not (_LASTING.match(previous_word(match)) or _TIME_AFTER.match(match.string, match.end()))


def _percent(match: Match, spell: Speller) -> str:
    return f"{_value(match, spell)} percent"


def _tall(match: Match, spell: Speller) -> str:
    feet, inches = spell.cardinal(match["feet"]), amount(match["inches"], spell)
    return f"{feet} foot {inches}"


def _feet_inches(match: Match, spell: Speller) -> str:
    feet, inches = spell.cardinal(match["feet"]), spell.decimal(match["inches"])
    return f"{feet} {'foot' if feet == 'one' else 'feet'} {inches} {'inch' if inches == 'one' else 'inches'}{_unit_stop(match)}"


def _marked(match: Match, spell: Speller) -> str:
    """Figures with the marks of feet and inches: `10" pizza`, `a 6' fence`."""
    one = _is_one(match)
    name = ("inch" if one else "inches") if match["mark"] in _INCH_MARKS else ("foot" if one else "feet")
    return f"{_value(match, spell)} {name}"


def _is_marked(match: Match) -> bool:
    """No quotation mark: none is open before it, and something goes on after it that could be measured."""
    text, start, end = match.string, match.start(), match.end()
    before = text[max(0, start - 160) : start]
    mark = match["mark"]
    if mark in "″′":
        return True
    if mark == '"':
        return before.count('"') % 2 == 0 and text.find('"', end, end + 160) < 0 or bool(re.match(r"\s?(?:x|×|by)\s?\d", text[end:]))
    return "'" not in before[-40:] and bool(re.match(r"(?:[ ,.;)]|\Z)", text[end : end + 1])) and not re.search(r"\b(?:19|20)\d\d\Z", match["value"])


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
        name = {"m": "minute", "d": "day", "w": "week", "y": "year"}.get(unit) or _UNITS[_known(unit) or "h"][0]
        words.append(f"{spell.decimal(value)} " + (name if value == "1" else _plural(name)))
    return " ".join(words) + _unit_stop(match)


def _plural(name: str) -> str:
    return "feet" if name == "foot" else "inches" if name == "inch" else f"{name}s"


def _temperature(match: Match, spell: Speller) -> str:
    return f"{_value(match, spell)} {_NAMED_DEGREES[match['scale']]}"


def _is_temperature(match: Match) -> bool:
    return not _SEATS.match(previous_word(match))


def _dimensions(match: Match, spell: Speller) -> str:
    values = re.findall(AMOUNT, match["values"])
    mark = match["mark"]
    name = "" if not mark else " inches" if mark in _INCH_MARKS else " feet" if mark in "'′" else f" {unit_name(mark, one=False)}"
    return " by ".join(amount(value, spell) for value in values) + name


_TIME_UNIT = r"(?:d|hrs?|h|mins?|m|secs?|s|ms|wks?|w|yrs?|y)"
_QUANTITY = rf"{SIGN}(?:(?P<low>{AMOUNT}){TO})?(?P<value>{AMOUNT})"
_FIRST = DIGITS + ".-−–"

_MARK = rf"(?:\"|″|''|′|'|\s?(?:{_LONG}|m)\b)"

RULES = (
    rule("measure", "p", rf"per\s(?P<unit>{_LONG})(?![\w/'])", lambda match, spell: f"per {unit_name(match['unit'], one=True)}",
         lambda match: match["unit"] not in ("in", "ha", "st", "kt")),  # fmt: skip
    rule("measure", LETTERS, rf"(?P<unit>km|mi|ft|m|[kMGT]?B|mg|kg|g)/(?P<per>hr?|s|sec|min|[dm]?L|kg|day|month|year)(?![\w/])",
         lambda match, spell: f"{unit_name(match['unit'], one=False)} per {unit_name(match['per'], one=True) or match['per']}"),
    rule("measure", DIGITS, rf"(?P<low>{AMOUNT})\s[cC]\.\s(?=[a-z])", lambda match, spell: (
        f"{amount(match['low'], spell)} cup{'' if match['low'] == '1' or '/' in match['low'][:3] else 's'} ")),  # fmt: skip
    rule("measure", DIGITS, rf"(?P<values>{AMOUNT}{_MARK}?(?:\s?(?:[x×]|by)\s?{AMOUNT}{_MARK}?){{0,2}}\s?(?:[x×]|by)\s?{AMOUNT})\s?"
         rf"(?P<mark>\"|″|''|′|'|(?:{_LONG}|m)\b)", _dimensions),  # fmt: skip
    rule("measure", DIGITS, r"(?P<degrees>\d{1,3}(?:\.\d+)?)°\s?(?P<minutes>\d{1,2})['′]\s?"
         r"(?:(?P<seconds>\d{1,2}(?:\.\d+)?)(?:\"|″|''|′′)\s?)?(?P<side>[NSEW])?(?!\w)", _coordinates),  # fmt: skip
    rule("measure", DIGITS, r"(?P<degrees>\d{1,3}(?:\.\d+)?)°(?P<minutes>)(?P<seconds>)\s?(?P<side>[NSEW])(?!\w)", _coordinates),
    rule("measure", DIGITS, r"(?P<feet>[1-9])['′]\s?(?P<inches>1[01]|\d|\d 1/2)(?:\"|''|″|(?![\w'/]))", _tall,
         lambda match: match.group()[-1] in "\"'″" or "′" in match.group() or match["feet"] in "4567"),  # fmt: skip
    rule("measure", DIGITS, rf"(?P<feet>\d{{1,4}})\s?(?:ft|feet)\.?,?\s?(?P<inches>{NUMBER})\s?in\b\.?", _feet_inches),
    rule("measure", DIGITS, rf"{NUMBER}\s?(?:lbs?|st)\.?,?\s?{NUMBER}\s?(?:oz|lbs?)\b\.?", _compound),
    rule("measure", DIGITS, rf"\d{{1,4}}\s?{_TIME_UNIT}(?:(?:,?\s|(?=\d))\d{{1,3}}(?:\.\d+)?\s?{_TIME_UNIT}){{1,4}}(?!\w)\.?",
         _compound),  # fmt: skip
    rule("measure", DIGITS, rf"(?P<sign>)(?:(?P<low>{AMOUNT})(?:\"|″|''|′|')?{TO})?(?P<value>{AMOUNT})(?P<mark>\"|″|''|′|')(?!\w)", _marked, _is_marked),
    rule("percentage", _FIRST, rf"{SIGN}(?:(?P<low>{AMOUNT})\s?%?{TO}(?P<high_sign>[-−])?)?(?P<value>{AMOUNT})\s?%", _percent),
    rule("measure", _FIRST, rf"{SIGN}(?:(?P<low>{AMOUNT})\s?(?:°\s?[CF]?)?{TO}(?P<high_sign>[-−])?)?(?P<value>{AMOUNT})\s?°\s?"
         r"(?P<scale>[CFK])(?!\w)", _temperature),  # fmt: skip
    rule("measure", _FIRST, rf"{SIGN}(?:(?P<low>\d{{1,3}}){TO})?(?P<value>\d{{2,3}})(?P<scale>[CF])(?![\w°'+-])", _temperature,
         _is_temperature),  # fmt: skip
    rule(
        "measure",
        _FIRST,
        rf"(?<![A-Za-z]-){SIGN}(?:(?P<low>{AMOUNT})(?:\s?(?P<low_unit>{_ANY}))?{TO}(?P<high_sign>[-−])?)?(?P<value>{AMOUNT})(?P<gap>[ -]?){_WHOLE_UNIT}"
        r"(?![\w°])(?!'\w)(?:\.(?!\w|\.))?",
        _measure,
        lambda match: _same_unit(match) and _is_measure(match),
    ),
)


def _same_unit(match: Match) -> bool:
    return match["low_unit"] is None or _known(match["low_unit"]) == _known(match["unit"])
