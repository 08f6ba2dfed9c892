"""Money: "$3.50", "£5m", "€10–20", "$250k-$300k", "US$5.2 billion", "20 USD", "$20/hr", "50¢"."""

from __future__ import annotations

import re

from spear_accel.text.english import tables
from spear_accel.text.english.measures import unit_name
from spear_accel.text.english.numbers import Speller, plain_figures
from spear_accel.text.english.patterns import DIGITS, NUMBER, SIGN, TO, UPPER
from spear_accel.text.english.tokens import Match, previous_word, rule

__all__ = ["RULES"]

_CURRENCIES = {row[0]: row[1:] for row in tables.rows("currencies")}
_SCALES = tables.pairs("scales")
_SIGNS = "".join(name for name in _CURRENCIES if len(name) == 1)
_CODE = tables.alternatives({name for name in _CURRENCIES if len(name) > 1})
_SCALE_WORDS = "hundred|thousand|million|billion|trillion|quadrillion|lakh|crore"
_SHORT_SCALE = tables.alternatives({row[0] for row in tables.rows("scales") if row[2] != "word"})
_SCALE = rf"(?:\s?[- ]?(?P<scale>{_SCALE_WORDS})\b|\s?(?P<short>{_SHORT_SCALE})(?!\w))?"
_LOW_SCALE = rf"(?:\s?(?P<low_scale>{_SCALE_WORDS}|{_SHORT_SCALE})\b)?"
_COUNTRY = r"(?:(?P<country>US|CA|AU|NZ|HK|A|C|S|NT)\s?)?"
_COUNTRIES = {"CA": "Canadian", "C": "Canadian", "A": "Australian", "AU": "Australian", "NZ": "New Zealand",
              "HK": "Hong Kong", "S": "Singapore", "NT": "New Taiwan", "US": "U S", "SG": "Singapore"}  # fmt: skip
_RATE = r"(?:\s?/\s?(?P<rate>[a-z]{1,9}|[kM]Wh|[GMT]B)\b\.?)?"
_SPELLED_COUNTRIES = ("HK", "NT")
# "1.234,56" and "3,50": figures as the continent writes them.
_CONTINENTAL = r"(?:\d{1,3}(?:\.\d{3})+(?:,\d{2})?|\d{1,9},\d{2})(?![\d,.]\d|\d)"
_VALUE = rf"(?P<value>{_CONTINENTAL}|{NUMBER})"


def _figures(text: str) -> str:
    """With a point before the fraction and no other sign."""
    if re.fullmatch(_CONTINENTAL, text) and not re.fullmatch(NUMBER, text):
        text = text.replace(".", "").replace(",", ".")
    whole, point, part = text.partition(".")
    return plain_figures(whole) + point + part


def _is_continental(text: str) -> bool:
    return bool(re.fullmatch(r"\d{1,3}(?:\.\d{3})+", text))


def _group(match: Match, name: str) -> str:
    return match.groupdict().get(name) or ""


def _scale_word(match: Match) -> str:
    written = _group(match, "scale") or _group(match, "short")
    return f" {_SCALES[written]}" if written else ""


def _low(match: Match, spell: Speller, scale: str) -> str:
    """The lower end of a range, with its own scale and its currency only where the upper end has another scale."""
    if not _group(match, "low"):
        return ""
    low_scale = _group(match, "low_scale")
    words = f" {_SCALES[low_scale]}" if low_scale and _SCALES[low_scale] != scale.strip() else ""
    return f"{spell.decimal(_figures(match['low']))}{words} to "


def _money(match: Match, spell: Speller) -> str:
    sign = match["currency"]
    one, many, hundredth, hundredths, _ = _CURRENCIES[sign]
    country = _group(match, "country") or _group(match, "code")[:2]
    country = f"{_COUNTRIES[country]} " if country else ""
    value, scale = _figures(match["value"]), _scale_word(match)
    whole, _, part = value.partition(".")
    minus = "minus " if _group(match, "sign") or _group(match, "inner") else ""
    rate = _rate(match)
    if scale or _group(match, "low") or len(part) not in (0, 2):
        return f"{minus}{_low(match, spell, scale)}{spell.decimal(value)}{scale} {country}{many}{rate}"
    words = []
    if int(whole or 0) or not int(part or 0):
        words.append(f"{spell.cardinal(whole or '0')} {country}{one if whole == '1' else many}")
    if int(part or 0):
        count = spell.cardinal(str(int(part)))
        bare = words and not spell.options.cents
        words.append(count if bare else f"{count} {hundredth if part == '01' else hundredths}")
    return minus + (" and " if spell.options.cents else " ").join(words) + rate


def _rate(match: Match) -> str:
    rate = _group(match, "rate")
    return f" per {unit_name(rate, one=True) or rate}" if rate else ""


def _cents(match: Match, spell: Speller) -> str:
    low = f"{spell.decimal(match['low'])} to " if match["low"] else ""
    return f"{low}{spell.decimal(match['value'])} cent" + ("" if match["value"] == "1" and not low else "s")


def _pence(match: Match, spell: Speller) -> str:
    return "one penny" if match["value"] == "1" else f"{spell.decimal(match['value'])} pence"


def _adjective(match: Match, spell: Speller) -> str:
    """ "a $5-a-day habit": singular before a hyphen."""
    one = _CURRENCIES[match["currency"]][0]
    return f"{spell.decimal(_figures(match['value']))}{_scale_word(match)} {one}"


_RANGE = rf"(?:(?P<low>{NUMBER}){_LOW_SCALE}{TO}(?:(?P=currency)\s?)?)?"
_FIRST = _SIGNS + "-−–" + "UCANHS"

RULES = (
    rule(
        "money",
        _SIGNS,
        rf"(?P<currency>[{_SIGNS}])(?P<value>10{{1,6}})s\b",
        lambda match, spell: (
            f"{spell.cardinal(match['value']).removeprefix('one ')}s of {_CURRENCIES[match['currency']][1]}"
        ),
    ),
    rule(
        "money",
        _SIGNS,
        rf"(?P<currency>[{_SIGNS}])(?P<value>{NUMBER}){_SCALE}(?=-[a-z])(?!-(?:{_SCALE_WORDS})\b)",
        _adjective,
    ),
    rule(
        "money",
        _FIRST,
        rf"{SIGN}{_COUNTRY}(?P<currency>[{_SIGNS}])\s?(?P<inner>[-−–])?{_RANGE}{_VALUE}{_SCALE}(?:\s?(?P<code>USD|CAD|AUD|NZD|HKD|SGD)\b)?{_RATE}",
        _money,
    ),
    rule(
        "money",
        DIGITS,
        rf"(?:(?P<low>{NUMBER})\s?[-–]\s?)?{_VALUE}{_SCALE}\s?(?P<currency>[{_SIGNS.replace('¢', '')}])(?!\d){_RATE}",
        _money,
    ),
    rule(
        "money",
        DIGITS,
        rf"(?:(?P<low>{NUMBER}){TO})?{_VALUE}{_SCALE}\s?(?P<currency>{_CODE})\b(?!\.\d){_RATE}",
        _money,
        lambda match: match["currency"] != "Rs" or " Rs" in match.group(),
    ),
    rule(
        "money",
        UPPER + "k",
        rf"(?<![/\w])(?P<currency>{_CODE})\s?{_RANGE}{_VALUE}{_SCALE}{_RATE}",
        _money,
        lambda match: previous_word(match) not in ("ISO",),
    ),
    rule(
        "money",
        DIGITS + ".",
        rf"(?:(?P<low>{NUMBER})\s?¢?{TO})?(?P<value>{NUMBER})\s?(?:¢|c\b(?!\.))",
        _cents,
        lambda match: "¢" in match.group() or match.group()[-2:-1].isdecimal(),
    ),
    rule("money", DIGITS, r"(?P<value>\d{1,3})p\b", _pence, lambda match: int(match["value"]) <= 99),
)
