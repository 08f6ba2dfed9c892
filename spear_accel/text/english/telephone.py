"""Telephone, card and account numbers, and figures that are said one by one ("911", "PIN 4711", "007")."""

from __future__ import annotations

import re

from spear_accel.text.english.numbers import Speller
from spear_accel.text.english.patterns import DIGITS
from spear_accel.text.english.tokens import Match, previous_word, rule

__all__ = ["RULES"]

_CALL = re.compile(
    r"(?:call|calls|called|calling|dial|dialed|dialled|dialing|ring|rang|phone|telephone|tel|mobile|cell|fax|text|"
    r"texted|whatsapp|hotline|ph|T|M|F|on|at|number|is)\.?\Z",
    re.IGNORECASE,
)
_ONE_BY_ONE = re.compile(
    r"(?:call|calls|called|calling|dial|dialed|dialled|dialing|text|pin|code|codes|zip|zipcode|postcode|password|"
    r"passcode|extension|ext|flight|ssn|account|serial|id|agent|bond)\.?\Z",
    re.IGNORECASE,
)
_REACHED = re.compile(
    r"\b(?:call|phone|dial|text|ring|reach|contact|fax)(?:ed|ing|s)?(?: \w+){0,2} (?:at|on)\s\Z", re.IGNORECASE
)
_EMERGENCY = ("911", "999", "112", "411", "311", "211", "511", "611", "811", "988", "101", "111")
_TOLL_FREE = re.compile(r"[A-Z]+|\d+")


def _grouped(match: Match, spell: Speller) -> str:
    extension = match.groupdict().get("extension")
    number = match.group()[: match.start("extension") - match.start()] if extension else match.group()
    groups = re.findall(r"\+?\d+", number)
    if _are_scores(match, groups):
        return ", ".join(map(spell.cardinal, groups))
    spoken = ", ".join(("plus " if group[0] == "+" else "") + spell.digits(group) for group in groups)
    return f"{spoken}, extension {spell.digits(extension)}" if extension else spoken


def _are_scores(match: Match, groups: list[str]) -> bool:
    """ "72-68-70-71": no code, since no group has more than two figures or begins with a nought."""
    return all(len(group) <= 2 and group[0] not in "0+" for group in groups) and not _ONE_BY_ONE.match(
        previous_word(match)
    )


def _lettered(match: Match, spell: Speller) -> str:
    parts = _TOLL_FREE.findall(match.group())
    return ", ".join(spell.digits(part) if part[0].isdecimal() else part.lower() for part in parts)


def _no_round_figure(match: Match) -> bool:
    return (
        match.group()[4:5] == "0"
        or match.group()[:3] == "555"
        or not match.group().endswith("00")
        or bool(_CALL.match(previous_word(match)))
    )


def _is_called(match: Match) -> bool:
    return bool(_CALL.match(previous_word(match)))


def _said_one_by_one(match: Match) -> bool:
    word = previous_word(match)
    figures = match.group()
    if figures in _EMERGENCY[:3] and re.match(
        r"\s(?:call|operator|dispatcher|emergency)", match.string[match.end() : match.end() + 12]
    ):
        return True
    if len(figures) in (7, 10, 11) and _REACHED.search(match.string, max(0, match.start() - 40), match.start()):
        return True
    if not _ONE_BY_ONE.match(word):
        return False
    calls = word.lower().startswith(("call", "dial", "text"))
    return figures in _EMERGENCY or len(figures) >= (5 if calls else 3)


def _one_by_one(match: Match, spell: Speller) -> str:
    return spell.digits(match.group())


_EXTENSION = r"(?:,?\s(?:ext|Ext|x|extension)\.?\s?(?P<extension>\d{1,6}))?"
_END = r"(?![\w-]|[.,:]\d)"

RULES = (
    rule("telephone", "+", rf"(?<![\w+-])\+\d{{1,3}}(?:[ .-]?\(?\d{{1,5}}\)?){{2,6}}(?![\w-]){_EXTENSION}", _grouped),
    rule("telephone", "(", rf"\(0?\d{{2,5}}\)[ -]?\d{{2,4}}[. -]?\d{{3,4}}{_END}{_EXTENSION}", _grouped),
    rule(
        "telephone",
        DIGITS,
        rf"(?:1[ .-])?(?:\(\d{{3}}\)\s?|\d{{3}}[. -])\d{{3}}[. -]\d{{4}}{_END}{_EXTENSION}",
        _grouped,
    ),
    rule("telephone", DIGITS, rf"0\d{{2,4}}[ -]\d{{2,4}}[ -]?\d{{3,4}}{_END}{_EXTENSION}", _grouped),
    rule("telephone", DIGITS, rf"0\d(?: \d\d){{4}}{_END}|0\d{{4}} \d{{5,6}}{_END}", _grouped),
    rule(
        "telephone",
        DIGITS,
        rf"1[38]00[ -]\d{{3}}[ -]\d{{3,4}}{_END}|13 \d\d \d\d{_END}|0[48]\d\d \d{{3,4}}(?: \d{{3}})?{_END}",
        _grouped,
    ),
    rule("telephone", DIGITS, r"1-8\d\d-(?:[A-Z]{3,}-?[A-Z]*|\d{3}-[A-Z]{4})(?!\w)", _lettered),
    rule("telephone", DIGITS, rf"\d{{4}}(?:[ -]\d{{4}}){{3}}{_END}|\d{{4}} \d{{6}} \d{{5}}{_END}", _grouped),
    rule("telephone", DIGITS, rf"\d{{3}}-\d{{4}}{_END}{_EXTENSION}", _grouped, _no_round_figure),
    rule(
        "telephone",
        DIGITS,
        rf"\d{{2,5}}(?:[ .-]\d{{2,5}}){{1,4}}{_END}",
        _grouped,
        lambda match: _is_called(match) and len(re.findall(r"\d", match.group())) >= 6 and "." not in match.group()[:4],
    ),
    rule("number one by one", DIGITS, r"\d{1,15}(?:-\d{1,15}){2,8}(?![\w-])", _grouped),
    rule("number one by one", DIGITS, r"\d{3,12}(?![\w-]|[.,:/]\d)", _one_by_one, _said_one_by_one),
)
