"""Words of an amount in front of a unit: a number, a fraction, or a mixed number. Knows no unit."""

from __future__ import annotations

import re

from spear_accel.text.english.numbers import Speller

__all__ = ["amount"]

_MIXED = re.compile(r"(?:(\d+)[ -])?(\d+)/(\d+)\Z")


def amount(text: str, spell: Speller) -> str:
    """ "1,200", "3.5", "1/2", "2 1/2" -> words."""
    mixed = _MIXED.match(text)
    if not mixed:
        return spell.decimal(text)
    whole, top, bottom = mixed.groups()
    return spell.mixed(whole, top, bottom) if whole else spell.fraction(top, bottom)
