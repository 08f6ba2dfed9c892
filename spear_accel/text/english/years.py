"""Years, decades and eras: "in 1984", "1914–18", "the '90s", "1980s", "44 BC", "AD 79", "10,000 B.C."."""

from __future__ import annotations

import re

from spear_accel.text.english.numbers import Speller
from spear_accel.text.english.patterns import DIGITS
from spear_accel.text.english.tokens import Match, full_stop, previous_word, rule

__all__ = ["BARE_YEAR_RULES", "RULES"]

_COUNTED = re.compile(
    r"\s(?:people|men|women|children|feet|(?!was|this|has|as\b|is\b|its\b|thus|plus|perhaps|always|does|Christmas|"
    r"versus|towards|besides|across|unless|whereas|previous|various|famous|serious)[a-z]{2,}[a-rt-z]s|pounds?|votes?|"
    r"million|billion|thousand)\b"
)
_BEFORE_YEAR = re.compile(r"(?:in|of|since|until|till|before|after|year|circa|during|early|late|mid)\Z", re.IGNORECASE)


def is_year(text: str) -> bool:
    """Whether four figures look like a year of the last nine centuries."""
    return len(text) == 4 and text.isdecimal() and 1100 <= int(text) <= 2099


def _decade(match: Match, spell: Speller) -> str:
    return spell.decade(match["value"])


def _is_decade(match: Match) -> bool:
    value = match["value"]
    if len(value) == 4 or match.group()[0] == "'":
        return True
    if re.match(
        r"\s(?:left|remaining|ago|later|delay|timeout|timer|clip|interval|countdown)\b",
        match.string[match.end() :][:12],
    ):
        return False
    return not re.match(r"(?:in|for|after|every|within|takes|took|wait|waited|about|only|timeout|lasts|lasted|of)\Z",
                        previous_word(match))  # fmt: skip


def _decade_span(match: Match, spell: Speller) -> str:
    return f"{spell.decade(match['a'])} to {spell.decade(match['b'])}"


def _era(match: Match, spell: Speller) -> str:
    figures = match["year"].replace(",", "")
    spoken = spell.year(figures) if len(figures) in (3, 4) else spell.cardinal(figures)
    if match["low"]:
        spoken = f"{spell.year(match['low'])} to {spoken}"
    era = " ".join(letter for letter in match["era"] if letter.isalpha())
    return f"{spoken} {era}{full_stop(match)}"


def _anno(match: Match, spell: Speller) -> str:
    return f"A D {spell.year(match['year'])}"


def _years(match: Match, spell: Speller) -> str:
    low, high = match["low"], match["high"]
    last = spell.year(high) if len(high) == 4 else spell.short_year(high)
    return f"{spell.year(low)} to {last}"


def _is_span_of_years(match: Match) -> bool:
    low, high = match["low"], match["high"]
    return is_year(low) and (is_year(high) or (len(high) == 2 and int(high) > int(low[2:])))


def _year(match: Match, spell: Speller) -> str:
    return spell.year(match.group())


def _reads_as_year(match: Match) -> bool:
    text = match.group()
    if _BEFORE_YEAR.match(previous_word(match)) and (is_year(text) or re.fullmatch("10[1-9][0-9]", text)):
        return True
    return is_year(text) and not _COUNTED.match(match.string[match.end() : match.end() + 24])


RULES = (
    rule("decade", DIGITS, r"(?P<a>[12]\d\d0|[1-9]0)s\s?[-–]\s?'?(?P<b>[12]\d\d0|[1-9]0)s\b", _decade_span),
    rule("decade", "-−", r"(?<=the )[-−](?P<value>[1-9]0)s\b", lambda match, spell: f"minus {_decade(match, spell)}"),
    rule("decade", DIGITS + "'", r"'?(?P<value>[12]\d\d0|[1-9]0)'?s\b(?! of )", _decade, _is_decade),
    rule("year", "'", r"'(?P<value>\d\d)\b(?!')", lambda match, spell: spell.short_year(match["value"])),
    rule(
        "year",
        DIGITS,
        r"(?:(?P<low>\d{3,4})\s?[-–]\s?)?(?P<year>\d{1,2},\d{3}|\d{1,4})\s?(?P<era>AD|BCE?|CE|A\.D\.|B\.C\.(?:E\.)?|"
        r"C\.E\.)(?!\w)",
        _era,
    ),
    rule("year", "A", r"(?:AD|A\.D\.)\s(?P<year>\d{3,4})(?!\w)", _anno),
    rule(
        "year",
        DIGITS,
        r"(?P<low>\d{4})\s?[-–—]\s?(?P<high>\d{4}|\d\d)(?![\w/%-]|[.,]\d)",
        _years,
        _is_span_of_years,
    ),
)
BARE_YEAR_RULES = (rule("year", DIGITS, r"\d{4}(?![\w,.]\d|\w)", _year, _reads_as_year),)
