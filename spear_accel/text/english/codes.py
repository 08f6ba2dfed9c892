"""Names of letters and figures: "MP3", "COVID-19", "B-52", "x86", "H2O", "Apt. 3B", "Boeing 747", "snake_case"."""

from __future__ import annotations

import re

from spear_accel.text.english import tables
from spear_accel.text.english.capitals import spoken_capitals
from spear_accel.text.english.numbers import Speller, plural, roman
from spear_accel.text.english.patterns import DIGITS, LETTERS, UPPER
from spear_accel.text.english.tokens import Match, previous_word, rule

__all__ = ["RULES"]

_PARTS = re.compile(r"\d+|[A-Z]+(?![a-z])|[A-Z]?[a-z]+|_+")
_PAIRED = re.compile(
    r"(?:Boeing|Airbus|flight|highway|Highway|route|Route|Interstate|form|Form|Porsche|Ferrari|BMW|Peugeot|Room|room|error|Error|Fahrenheit|(?!THE|AND|FOR|ALL|NOT|ARE|WAS|OUT|TOP|BUY|GET|"
    r"[A-Z]*?(?:IN|OF|AT|TO|UP|BY|ON)\Z)[A-Z]{2,5})\Z"
)
_COUNTED_NEXT = re.compile(
    r"\s(?:[a-z]+ )?[a-z]{2,}[a-rt-z]s\b|\s(?:people|men|women|children|feet|percent|per|and)\b|%"
)
_LONGEST_SPELLED = 3
_AFTER_NUMBER = re.compile(r"\s(?:forms?|error|freeway|interstate|expressway|turnpike|bus|flight)\b")
_LINES = re.compile(r"(?:144|240|360|480|540|576|720|1080|1440|2160|4320)\Z")


def _code(match: Match, spell: Speller) -> str:
    """Split where letters and figures meet; long figures one by one."""
    return " ".join(_part(part, spell) for part in _PARTS.findall(match.group()) if part[0] != "_")


def _part(part: str, spell: Speller) -> str:
    if part[0].isdecimal():
        return spell.cardinal(part) if len(part) <= 2 else spell.digits(part)
    if part.isupper() and 1 < len(part) <= _LONGEST_SPELLED and part not in tables.pairs("acronyms"):
        return " ".join(part)
    if part.islower() and len(part) in (2, 3, 4) and not re.search("[aeiouy]", part):
        return " ".join(part)
    return spoken_capitals(part, alone=True) if part.isupper() and len(part) > 1 else part


def _screen(match: Match, spell: Speller) -> str:
    return f"{spell.pairs(match['lines'])} {match['letter']}"


def _paired(match: Match, spell: Speller) -> str:
    return " ".join(spell.pairs(part) for part in match["value"].split("-"))


def _is_paired(match: Match) -> bool:
    """After what is numbered ("Room 204", "RFC 2616") or before it ("a 1099 form"), where nothing is counted."""
    if _AFTER_NUMBER.match(match.string, match.end()):
        return True
    return bool(_PAIRED.match(previous_word(match))) and not _COUNTED_NEXT.match(match.string, match.end())


def _lettered(match: Match, spell: Speller) -> str:
    letters = match["letters"]
    spoken = letters if len(letters) == 1 else spoken_capitals(letters, alone=True)
    return f"{spoken}-{spell.pairs(match['value'])}"


def _plural_code(match: Match, spell: Speller) -> str:
    """ "MP3s", "747s": the last figure in the plural."""
    figures = match["value"]
    spoken = spell.pairs(figures) if len(figures) == 3 else spell.cardinal(figures)
    head = f"{' '.join(match['letters'])} " if match["letters"] else ""
    return head + plural(spoken)


def _listed(match: Match, spell: Speller) -> str:
    """ "401k", "501(c)(3)": figures said in their own way."""
    letters = " ".join(one for one in match["letters"] if one.isalpha())
    return f"{spell.digits('4') if match['value'] == '401' else spell.digits('5')} {'oh'} one {letters}".strip()


def _identifier(match: Match, spell: Speller) -> str:
    return " ".join(_part(part, spell) for part in _PARTS.findall(match.group()) if part[0] != "_")


def _not_one_word(match: Match) -> bool:
    return not roman(match.group())


EARLY_RULES = (
    rule("code", DIGITS, r"(?P<value>\d{3,4}(?:-\d{3})?)(?![\w-]|[.,:/]\d)", _paired, _is_paired),
    rule("code", DIGITS, r"(?P<letters>)(?P<value>7[0-8]7)s\b", _plural_code),
    rule("code", UPPER, r"(?P<letters>[A-Z]{1,4})(?P<value>\d)s\b", _plural_code),
    rule("code", UPPER, r"(?P<letters>[A-Z]{1,4})-(?P<value>\d{3,4})(?![\w-]|[.,:/]\d)", _lettered),
)
RULES = (
    rule("code", "45", r"(?P<value>401|501)(?P<letters>\(?k\)?|\(c\))(?:\(3\))?(?!\w)", _listed),
    rule(
        "code",
        DIGITS,
        r"(?P<lines>\d{3,4})(?P<letter>[pi])\b",
        _screen,
        lambda match: bool(_LINES.match(match["lines"])),
    ),
    rule(
        "address of a machine",
        "l",
        r"localhost:\d{2,5}\b",
        lambda match, spell: f"localhost {spell.digits(match.group())}",
    ),
    rule("identifier", LETTERS + "_", r"_*[A-Za-z][A-Za-z0-9]*(?:_+[A-Za-z0-9]+)+_*(?:\(\))?", _identifier),
    rule("code", DIGITS + LETTERS, r"(?=[A-Za-z_]{0,30}\d)(?=[\d_]{0,30}[A-Za-z])[A-Za-z0-9_]+", _code),
)
