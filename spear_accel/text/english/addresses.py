"""Postal addresses: house numbers with a street, compass points, states and postcodes."""

from __future__ import annotations

import re

from spear_accel.text.english import tables
from spear_accel.text.english.numbers import Speller
from spear_accel.text.english.patterns import DIGITS, UPPER
from spear_accel.text.english.tokens import Match, full_stop, rule, sentence_ends, starts_name

__all__ = ["RULES"]

_STREETS = tables.pairs("streets")
_DIRECTIONS = tables.pairs("directions")
_STATES = tables.pairs("states")
_STREET = tables.alternatives(set(_STREETS))
_DIRECTION = tables.alternatives(set(_DIRECTIONS))
_NAME = r"(?:[A-Z][a-z']+|\d{1,3}(?:st|nd|rd|th)|[A-Z]\.?)(?:\s[A-Z][a-z']+){0,3}"
_SPELLED_OUT = (
    r"(?:Street|Avenue|Road|Lane|Drive|Boulevard|Court|Place|Square|Way|Highway|Parkway|Circle|Terrace|Row|Hill)"
)
_LETTER = re.compile(r"[A-Z]|\d+")


def _house(match: Match, spell: Speller) -> str:
    figures, letter = match["number"], match["letter"]
    words = spell.pairs(figures) if len(figures) in (3, 4) and not figures.endswith("000") else spell.cardinal(figures)
    return f"{words} {letter.upper()}" if letter else words


def _direction(match: Match, spell: Speller) -> str:
    return _DIRECTIONS[match["direction"].replace(".", "")]


def _street(match: Match, spell: Speller) -> str:
    text, end = match.string, match.end()
    stop = "." if match.group().endswith(".") and (sentence_ends(text, end) or starts_name(text, end)) else ""
    return _STREETS[match["street"]] + stop


def _is_street(match: Match) -> bool:
    """After a capitalised name or an ordinal, and not in front of a name ("St. Paul")."""
    before = match.string[max(0, match.start() - 24) : match.start()]
    return bool(re.search(r"(?:[A-Z][a-z]+|\d(?:st|nd|rd|th))\s\Z", before)) and (
        match["street"] not in ("St", "Dr") and (match["street"] not in ("Av", "Pk") or match.group().endswith("."))
    )


def _state(match: Match, spell: Speller) -> str:
    code = match["zip"]
    name = _STATES[match["state"]]
    return f"{name} {_zip(code, spell)}" if code else name + full_stop(match)


def _zip(code: str, spell: Speller) -> str:
    return ", ".join(spell.digits(part) for part in code.split("-"))


def _box(match: Match, spell: Speller) -> str:
    return "P O box "


def _postcode(match: Match, spell: Speller) -> str:
    return " ".join(part if part.isalpha() else spell.cardinal(part) for part in _LETTER.findall(match.group()))


RULES = (
    rule(
        "address",
        DIGITS,
        rf"(?P<number>\d{{1,5}})(?P<letter>[A-Za-z]|)(?=\s(?:(?:{_DIRECTION})\.?\s)?{_NAME}\s(?:(?:{_STREET})\b|{_SPELLED_OUT}\b))",
        _house,
    ),
    rule("address", UPPER, r"P\.?\s?O\.?\s(?=[Bb]ox\b)", lambda match, spell: "P O "),
    rule(
        "address",
        UPPER,
        rf"(?P<direction>(?:{_DIRECTION})|[NS]\.[EW]\.)\.?\s(?={_NAME}\s(?:(?:{_STREET})\b|{_SPELLED_OUT}\b))",
        _direction,
        lambda match: bool(re.search(r"\d[A-Za-z]?\s\Z", match.string[max(0, match.start() - 4) : match.start()])),
    ),
    rule("address", UPPER, rf"(?P<street>{_STREET})\b\.?", _street, _is_street),
    rule(
        "address",
        UPPER,
        rf"(?<=, )(?P<state>{tables.alternatives(set(_STATES))})(?:\s(?P<zip>\d{{5}}(?:-\d{{4}})?))?(?![\w'-])",
        _state,
        lambda match: (
            match["zip"] is not None
            or bool(re.search(r"[A-Z][a-z]+, \Z", match.string[max(0, match.start() - 20) : match.start()]))
        ),
    ),
    rule("address", UPPER, r"[A-Z]{1,2}\d{1,2}[A-Z]?\s\d[A-Z]{2}(?!\w)", _postcode),
)
