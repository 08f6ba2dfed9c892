"""Measures: figures with units ("5 km", "6 ft. tall", "20°–25°C", "100 MB/s", "2h 30m", "6'2\\""), and percentages."""

from __future__ import annotations

import re

from spear_accel.text.english import tables
from spear_accel.text.english.amounts import amount
from spear_accel.text.english.numbers import Speller
from spear_accel.text.english.patterns import AMOUNT, SIGN, SIGNED, TO
from spear_accel.text.english.tokens import Match, previous_word, rule, sentence_ends, starts_name

__all__ = [
    "LONG_UNIT",
    "NAMED_DEGREES",
    "POWERS",
    "RULES",
    "UNIT",
    "is_one",
    "known_unit",
    "unit_name",
    "unit_stop",
    "value_words",
]

_UNITS = {row[0]: (row[1], row[2]) for row in tables.rows("units")}
_WHEN = {row[0]: row[3] for row in tables.rows("units")}
_ANY_CASE = {name.lower(): name for name in reversed(list(_UNITS)) if len(name) > 1} | {
    "mb": "MB",
    "kb": "KB",
    "gb": "GB",
}
UNIT = tables.alternatives(set(_UNITS))
LONG_UNIT = tables.alternatives({name for name in _UNITS if len(name) > 1})
_SHORT = tables.alternatives({name for name in _UNITS if len(name) == 1})
_ANY = rf"(?:(?i:{LONG_UNIT})|{_SHORT})"
_AREA = r"(?:(?P<area>sq|cu|square|cubic)\.?\s)"
_WHOLE_UNIT = (
    rf"(?:{_AREA}?(?P<unit>{_ANY})(?P<power>[²³]|\^[23]|(?<=m)[23])?(?:\.?\s?/\s?(?P<per>{_ANY}|[a-z]{{3,12}})"
    rf"(?P<per_power>[²³]|\^[23]|[23](?!\w))?(?:/(?P<per_more>{_ANY}|day|week|month|year)(?!\w))?)?)"
)
POWERS = {"2": "square ", "3": "cubic ", "²": "square ", "³": "cubic ", "sq": "square ", "cu": "cubic ",
           "square": "square ", "cubic": "cubic "}  # fmt: skip
_LENGTHS_OF_TIME = frozenset(
    ("d", "h", "hr", "hrs", "m", "min", "mins", "s", "sec", "secs", "w", "wk", "wks", "y", "yr", "yrs", "ms")
)
_MINUTES_BEFORE = re.compile(r"(?:in|for|after|every|within|takes|took|lasted|another|last|next|past|about|just)\Z")
_MINUTES_AFTER = re.compile(
    r"\s(?:remaining|left|ago|later|read|walk|drive|ride|break|timeout|timer|early|late|into|and \d+s\b)"
)
_TIME_AFTER = re.compile(
    r"\s(?:ago|left|remaining|later|old|trial|warranty|contract|timeout|delay|countdown|clip|interval|timer|limit)\b"
)
_LASTING = re.compile(r"(?:in|for|after|every|within|takes|took|wait|waited|about|only|timeout|lasts|lasted)\Z")
_CLOSED = re.compile(r"[.,;:)]|\Z|\s(?:to|and|or|for|of|at|after|before|later|long|each|per)\b")
_MILLIONS = re.compile(
    r"\s(?:dollars|pounds|euros|people|users|followers|views|subscribers|downloads|copies|homes|jobs|customers|visitors)\b"
)
_CURRENT = re.compile(r"\s(?:AC|DC|RMS)\b")
_SEATS = re.compile(
    r"(?:seat|apt|apartment|room|row|gate|unit|suite|flat|building|level|bus|figure|table|no|number|class|grade|size|section|type|item)\.?\Z",
    re.I,
)
NAMED_DEGREES = {"C": "degrees Celsius", "F": "degrees Fahrenheit", "K": "kelvin", "N": "degrees north",
                  "S": "degrees south", "E": "degrees east", "W": "degrees west"}  # fmt: skip


def known_unit(unit: str) -> str | None:
    """The table's spelling of a unit."""
    return unit if unit in _UNITS else _ANY_CASE.get(unit.lower()) if len(unit) > 1 else None


def unit_name(unit: str, one: bool) -> str | None:
    """The name of a unit, or None where it is unknown."""
    known = known_unit(unit)
    return None if known is None else _UNITS[known][0 if one else 1]


def _name(match: Match, one: bool) -> str:
    """The whole unit: area or power, name, and what it is divided by."""
    unit = known_unit(match["unit"]) or ""
    if _is_minutes(match, unit):
        return "minute" if one else "minutes"
    size = POWERS.get((match["area"] or (match["power"] or "")[-1:]), "")
    words = size + _UNITS[unit][0 if one else 1]
    if match["per"]:
        per_size = {"2": " squared", "²": " squared", "3": " cubed", "³": " cubed"}.get(
            (match["per_power"] or "")[-1:], ""
        )
        if known_unit(match["per"]) and match["per"] not in ("s", "h", "d") and per_size:
            per_size, words = (
                "",
                f"{words} per {POWERS[(match['per_power'] or '')[-1:]]}{unit_name(match['per'], one=True)}",
            )
        else:
            words = f"{words} per {unit_name(match['per'], one=True) or match['per']}"
        words += per_size
        if more := match["per_more"]:
            words += f" per {unit_name(more, one=True) or more}"
    return words


def _is_minutes(match: Match, unit: str) -> bool:
    """ "56m remaining" and "in 5m", but "a 100m race"."""
    if unit != "m" or match["gap"] or match["per"] or match["power"] or match["area"]:
        return False
    return bool(_MINUTES_AFTER.match(match.string, match.end())) or (
        bool(_MINUTES_BEFORE.match(previous_word(match)))
        and not re.match(r"\s[a-z]", match.string[match.end() : match.end() + 2])
    )


def is_one(match: Match) -> bool:
    return (match["value"] == "1" and not match["low"]) or "/" in match["value"][:3]


def value_words(match: Match, spell: Speller) -> str:
    """Sign, optional lower end and value."""
    minus = "minus " if match["sign"] else ""
    high = "minus " if match.groupdict().get("high_sign") else ""
    low = f"{amount(match['low'], spell)} to {high}" if match["low"] else ""
    return f"{minus}{low}{amount(match['value'], spell)}"


def _measure(match: Match, spell: Speller) -> str:
    hyphen = match["gap"] == "-"
    if hyphen and is_one(match) and not match["value"].startswith("1"):
        return f"{value_words(match, spell).removesuffix('s')}-{_name(match, one=True)}"
    joint = "-" if hyphen else " "
    return f"{value_words(match, spell)}{joint}{_name(match, is_one(match) or hyphen)}{unit_stop(match)}"


def unit_stop(match: Match) -> str:
    """The dot of an abbreviated unit ends the sentence too where one can begin."""
    if not match.group().endswith("."):
        return ""
    at_end = sentence_ends(match.string, match.end()) or starts_name(match.string, match.end())
    return "." if at_end else ""


def _is_measure(match: Match) -> bool:
    unit = known_unit(match["unit"])
    if unit is None:
        return False
    when, gap = _WHEN[unit], match["gap"]
    if re.match(r"\.[a-z]\.", match.string[match.end() : match.end() + 3]):
        return False  # "45 m.p.h."
    if match["per"] and known_unit(match["per"]) and match["gap"] != "-":
        return True
    if match["area"] or match["power"] or match["per"]:
        return when != "attached" or not gap or bool(match["area"])
    if unit == "m" and not gap and _MILLIONS.match(match.string, match.end()):
        return False
    if (
        gap == "-"
        and len(unit) == 1
        and unit.isupper()
        and not re.match(r"\s[a-z]", match.string[match.end() : match.end() + 2])
    ):
        return False
    if unit == "A" and _SEATS.match(previous_word(match)):
        return False
    if when == "attached":
        if not gap:
            return match["unit"] != "s" or not match["value"].endswith("0") or not _is_decade_like(match)
        return (
            gap == "-"
            or (unit == "in" and _inches_follow(match))
            or (unit in ("second", "s", "A", "N") and bool(_CLOSED.match(match.string, match.end())))
        )
    if when == "sign":
        return (
            not gap
            or _CURRENT.match(match.string, match.end()) is not None
            or not starts_name(match.string, match.end())
        )
    if when == "space":
        return gap == " "
    if when == "compound":
        return bool(_TIME_AFTER.match(match.string, match.end()))
    return when == "any"


def _inches_follow(match: Match) -> bool:
    """ "12 in. wide" but "5 in the morning"."""
    text, end = match.string, match.end()
    if match.group().endswith("."):
        return True
    return bool(
        re.match(
            r"\s?(?:x|×|by)\s?\d|\s(?:wide|long|tall|high|deep|thick|diameter|square|of rain|of snow)\b|[,;)]",
            text[end : end + 12],
        )
    )


def _is_decade_like(match: Match) -> bool:
    return not (_LASTING.match(previous_word(match)) or _TIME_AFTER.match(match.string, match.end()))


def _percent(match: Match, spell: Speller) -> str:
    rate = match["rate"]
    return f"{value_words(match, spell)} percent" + (f" per {unit_name(rate, one=True) or rate}" if rate else "")


def _temperature(match: Match, spell: Speller) -> str:
    name = NAMED_DEGREES[match["scale"]]
    return f"{value_words(match, spell)} {name.replace('degrees', 'degree') if is_one(match) else name}"


def _is_temperature(match: Match) -> bool:
    return not _SEATS.match(previous_word(match))


_QUANTITY = rf"{SIGN}(?:(?P<low>{AMOUNT}){TO})?(?P<value>{AMOUNT})"


RULES = (
    rule(
        "percentage",
        SIGNED,
        rf"{SIGN}(?:(?P<low>{AMOUNT})\s?%?{TO}(?P<high_sign>[-−])?)?(?P<value>{AMOUNT})\s?%"
        r"(?:/(?P<rate>day|wk|week|mo|month|yr|year|hr|hour|quarter)(?!\w))?",
        _percent,
    ),
    rule(
        "measure",
        SIGNED,
        rf"{SIGN}(?:(?P<low>{AMOUNT})\s?(?:°\s?[CF]?)?{TO}(?P<high_sign>[-−])?)?(?P<value>{AMOUNT})\s?°\s?"
        r"(?P<scale>[CFK])(?!\w)",
        _temperature,
    ),
    rule(
        "measure",
        SIGNED,
        rf"{SIGN}(?:(?P<low>\d{{1,3}}){TO})?(?P<value>\d{{2,3}})(?P<scale>[CF])(?![\w°'+-])",
        _temperature,
        _is_temperature,
    ),
    rule(
        "measure",
        SIGNED,
        rf"(?<![A-Za-z]-){SIGN}(?:(?P<low>{AMOUNT})(?:\s?(?P<low_unit>{_ANY}))?{TO}(?P<high_sign>[-−])?)?"
        rf"(?P<value>{AMOUNT})(?P<gap>[ -]?){_WHOLE_UNIT}"
        r"(?![\w°]|'\w|-\d)(?:\.(?!\w|\.))?",
        _measure,
        lambda match: _same_unit(match) and _is_measure(match),
    ),
)


def _same_unit(match: Match) -> bool:
    return match["low_unit"] is None or known_unit(match["low_unit"]) == known_unit(match["unit"])
