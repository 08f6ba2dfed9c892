"""Versions and addresses of machines: "v1.5", "2.0.1", "Python3.11", "192.168.0.1:8080", "0x1F"."""

from __future__ import annotations

from spear_accel.text.english.numbers import Speller
from spear_accel.text.english.patterns import DIGITS, LETTERS
from spear_accel.text.english.tokens import Match, rule

__all__ = ["RULES"]

_PLACES = r"\d{1,15}(?:\.\d{1,15}){2,20}"


def _dotted(match: Match, spell: Speller) -> str:
    """Four groups are an address of a machine, others a version."""
    groups = match["groups"].split(".")
    if (
        len(groups) == 3
        and all(len(group) == 3 for group in groups[1:])
        and len(groups[0]) <= 3
        and groups[0][0] != "0"
    ):
        return spell.cardinal("".join(groups))
    if len(groups) == 4 and all(len(group) <= 3 and int(group) < 256 for group in groups):
        spoken = " dot ".join(map(spell.digits, groups))
    else:
        spoken = " point ".join(spell.cardinal(group) for group in groups)
    port, bits = match["port"], match["bits"]
    return (
        spoken + (f" colon {spell.digits(port)}" if port else "") + (f" slash {spell.cardinal(bits)}" if bits else "")
    )


def _version(match: Match, spell: Speller) -> str:
    groups = match["groups"].split(".")
    letter = match["letters"]
    name = " ".join(letter) if letter.isupper() and 1 < len(letter) <= 3 else letter
    tail = f" {match['tail']}" if match["tail"] else ""
    if len(groups) == 2:
        return f"{name} {spell.decimal(match['groups'])}{tail}"
    return f"{name} {' point '.join(map(spell.cardinal, groups))}{tail}"


def _hexadecimal(match: Match, spell: Speller) -> str:
    figures = " ".join(spell.digits(one) if one.isdecimal() else one.upper() for one in match["figures"])
    return f"{spell.digits('0')} x {figures}"


RULES = (
    rule("code", "0", r"0[xX](?P<figures>[0-9A-Fa-f]{1,16})\b", _hexadecimal),
    rule("version", DIGITS, rf"(?P<groups>{_PLACES})(?::(?P<port>\d{{1,5}}))?(?:/(?P<bits>\d{{1,2}}))?(?!\w)", _dotted),
    rule(
        "version",
        LETTERS,
        r"(?P<letters>[A-Za-z]{1,20})(?P<groups>\d{1,6}(?:\.\d{1,6}){1,5})(?P<tail>[a-z]{0,6})(?!\w|\.\w)",
        _version,
    ),
)
