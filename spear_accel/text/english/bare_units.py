"""Units that stand without a figure of their own: "per km", "mg/kg/day", "cm²", "Sq. ft.", "degrees F"; "18 y/o"."""

from __future__ import annotations

import re

from spear_accel.text.english.measures import LONG_UNIT, NAMED_DEGREES, POWERS, unit_name, unit_stop
from spear_accel.text.english.numbers import Speller
from spear_accel.text.english.patterns import DIGITS, LETTERS
from spear_accel.text.english.tokens import Match, previous_word, rule

__all__ = ["EARLY_RULES", "RULES"]

_NOUN_NEXT = re.compile(r"\s[a-z]{3,}")


def _bare_rate(match: Match, spell: Speller) -> str:
    pers = (unit_name(per, one=True) or per for per in match["pers"][1:].split("/"))
    return f"{unit_name(match['unit'], one=False)} per {' per '.join(pers)}"


def _bare_area(match: Match, spell: Speller) -> str:
    size = POWERS[match["area"].lower()]
    size = size.capitalize() if match["area"][0].isupper() else size
    return size + str(unit_name(match["unit"], one=previous_word(match) == "per")) + unit_stop(match)


EARLY_RULES = (
    rule(
        "measure",
        "sScCuU",
        r"(?P<area>[sS]q|[cC]u)\.?\s(?P<unit>ft|in|mi|yd|km|cm|m)\b\.?",
        _bare_area,
    ),
    rule(
        "measure",
        DIGITS,
        r"(?P<value>\d{1,3})[ -]?y/?o\b",
        lambda match, spell: (
            f"{spell.cardinal(match['value'])} "
            + ("year old" if _NOUN_NEXT.match(match.string, match.end()) else "years old")
        ),
    ),
)
RULES = (
    rule(
        "measure",
        "p",
        rf"per\s(?P<unit>{LONG_UNIT})(?![\w/'])",
        lambda match, spell: f"per {unit_name(match['unit'], one=True)}",
        lambda match: match["unit"] not in ("in", "ha", "st", "kt"),
    ),
    rule(
        "measure",
        LETTERS,
        r"(?P<unit>km|mi|ft|m|[kMGT]?B|mg|kg|g|L|ml|mL|mmol|gal)"
        r"(?P<pers>(?:/(?:hr?|s|sec|min|[dm]?L|kg|g|m|day|week|month|year)(?!\w)){1,2})(?![\w/²³^])",
        _bare_rate,
    ),
    rule(
        "measure",
        LETTERS,
        r"(?P<unit>[kcm]m|ft|in|mi|yd|m)(?P<power>[²³])(?!\w)",
        lambda match, spell: f"{POWERS[match['power']]}{unit_name(match['unit'], one=previous_word(match) == 'per')}",
        lambda match: match["unit"] != "m" or match.string[match.start() - 1 : match.start()] in (" ", "/", "("),
    ),
    rule("measure", "d", r"degrees\s(?P<scale>[CF])(?!\w)", lambda match, spell: NAMED_DEGREES[match["scale"]]),
)
