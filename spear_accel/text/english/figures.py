"""Figures without a unit: ordinals, fractions, scores, ranges, versions, decimals, powers, scales, plain cardinals."""

from __future__ import annotations

import re

from spear_accel.text.english import tables
from spear_accel.text.english.amounts import amount
from spear_accel.text.english.numbers import Speller, plural
from spear_accel.text.english.patterns import DIGITS, LETTERS, NUMBER, SIGN, WHOLE
from spear_accel.text.english.tokens import Match, previous_word, rule

__all__ = ["RULES"]

# A run of digits this long is an account number or the like.
_LONG_RUN = 10
_SCALES = tables.pairs("scales")
_COUNTED = re.compile(r"\s(?:[a-z]+ )?(?:people|men|women|children|(?!was|this|has|as\b|is\b|its\b|does|plus)[a-z]{2,}[a-rt-z]s)\b")
_PAGED = re.compile(r"(?:page|step|part|slide|day|question|chapter|episode|photo|image|exercise|tweet|thread)\Z", re.IGNORECASE)
_RATED = re.compile(r"(?:rated|rating|score|scored|got|gave|earned|grade|averages?|review)\Z", re.IGNORECASE)


def _ordinal(match: Match, spell: Speller) -> str:
    return spell.ordinal(match["value"])


def _dotted(match: Match, spell: Speller) -> str:
    """Four groups are an address of a machine, others a version."""
    groups = match["groups"].split(".")
    if len(groups) == 3 and all(len(group) == 3 for group in groups[1:]) and len(groups[0]) <= 3 and groups[0][0] != "0":
        return spell.cardinal("".join(groups))
    if len(groups) == 4 and all(len(group) <= 3 and int(group) < 256 for group in groups):
        spoken = " dot ".join(map(spell.digits, groups))
    else:
        spoken = " point ".join(spell.cardinal(group) for group in groups)
    port, bits = match["port"], match["bits"]
    return spoken + (f" colon {spell.digits(port)}" if port else "") + (f" slash {spell.cardinal(bits)}" if bits else "")


def _range(match: Match, spell: Speller) -> str:
    minus = "minus " if match["sign"] else ""
    return f"{minus}{spell.decimal(match['low'])} to {spell.decimal(match['high'])}"


def _fraction(match: Match, spell: Speller) -> str:
    return ("minus " if match["sign"] else "") + _unsigned_fraction(match, spell)


def _unsigned_fraction(match: Match, spell: Speller) -> str:
    text = match["amount"]
    whole, _, rest = text.replace("-", " ").rpartition(" ")
    top, bottom = rest.split("/")
    if whole and int(top) >= int(bottom):
        return f"{spell.cardinal(whole)} {spell.fraction(top, bottom)}"
    after = match.string[match.end() : match.end() + 6]
    if not whole and (int(top) + int(bottom) == 100 or re.match(r"\stime\b", after)):
        return f"{spell.cardinal(top)}-{spell.cardinal(bottom)}"
    if not whole and top == bottom:
        return f"{spell.cardinal(top)} out of {spell.cardinal(bottom)}"
    if not whole and _PAGED.match(previous_word(match)):
        return f"{spell.cardinal(top)} of {spell.cardinal(bottom)}"
    if not whole and int(top) >= 1 and int(bottom) > 20 and int(bottom) % 100 and int(bottom) not in (24, 32, 64):
        return f"{spell.cardinal(top)} over {spell.cardinal(bottom)}"
    return amount(text.replace("-", " "), spell)


def _out_of(match: Match, spell: Speller) -> str:
    return f"{spell.decimal(match['a'])} out of {spell.decimal(match['b'])}"


def _is_rating(match: Match) -> bool:
    """ "4.5/5", "rated 8/10": marks out of so many."""
    if "." in match["a"] or "." in match["b"]:
        return True
    if re.match(r"\s(?:stars?|points?|marks?|rating)\b", match.string[match.end() : match.end() + 8]):
        return True
    return match["b"] in ("10", "100", "5") and bool(_RATED.match(previous_word(match)))


def _number(match: Match, spell: Speller) -> str:
    return ("minus " if match["sign"] else "") + spell.decimal(match["value"])


def _whole(match: Match, spell: Speller) -> str:
    text = match["value"]
    minus = "minus " if match["sign"] else ""
    return minus + (spell.digits(text) if len(text) >= _LONG_RUN and text.isdecimal() else spell.cardinal(text))


def _scaled(match: Match, spell: Speller) -> str:
    minus = "minus " if match["sign"] else ""
    low = f"{spell.decimal(match['low'])} to " if match["low"] else ""
    return f"{minus}{low}{spell.decimal(match['value'])} {_SCALES[match['scale'] or match['spaced']]}"


def _is_scaled(match: Match) -> bool:
    """ "5k" and "1.5B" multiply; "a 7B model", "a 10K" and "4K" are names unless something counted follows."""
    if match["scale"] in ("B", "K", "T", "m", "b"):
        return "." in match["value"] or bool(_COUNTED.match(match.string[match.end() : match.end() + 30]))
    return match["value"] != "401"


def _hundreds(match: Match, spell: Speller) -> str:
    """ "100s of", "1000s": so many and more."""
    words = spell.cardinal(match["value"]).removeprefix("one ")
    return plural(words)


def _persons(match: Match, spell: Speller) -> str:
    """ "49ers", "B-52s", "6s and 7s"."""
    words = spell.cardinal(match["value"])
    if match["ending"] == "s":
        return plural(words)
    return {"nine": words[:-4] + "niner"}.get(words[-4:], words.removesuffix("e") + "er") + "s"


def _power(match: Match, spell: Speller) -> str:
    base = spell.decimal(match["base"])
    if match["exponent"] in ("²", "³"):
        return f"{base} {'squared' if match['exponent'] == '²' else 'cubed'}"
    return f"{base} to the power of {_exponent(match['exponent'], spell)}"


def _exponent(written: str, spell: Speller) -> str:
    figures = _superscript(written)
    minus = "minus " if figures[0] in "-−" else ""
    return minus + spell.cardinal(figures.lstrip("-−+"))


def _superscript(text: str) -> str:
    return text.translate(str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-")).strip("^{}()* ")


def _footnoted(match: Match, spell: Speller) -> str:
    """ "2020¹": the raised figure is the number of a note."""
    value = match["base"]
    return spell.year(value)


def _exponential(match: Match, spell: Speller) -> str:
    return f"{spell.decimal(match['value'])} times ten to the power of {_exponent(match['exponent'], spell)}"


def _version(match: Match, spell: Speller) -> str:
    groups = match["groups"].split(".")
    letter = match["letters"]
    name = " ".join(letter) if letter.isupper() and 1 < len(letter) <= 3 else letter
    tail = f" {match['tail']}" if match["tail"] else ""
    if len(groups) == 2:
        return f"{name} {spell.decimal(match['groups'])}{tail}"
    return f"{name} {' point '.join(map(spell.cardinal, groups))}{tail}"


def _times(match: Match, spell: Speller) -> str:
    return f"{spell.decimal(match['value'])} times"


def _product(match: Match, spell: Speller) -> str:
    values = re.split(r"\s?[x×*]\s?", match["values"])
    return " times ".join(spell.decimal(value) for value in values)


def _ratio(match: Match, spell: Speller) -> str:
    return " to ".join(spell.decimal(part) for part in match.group().split(":"))


def _continental(match: Match, spell: Speller) -> str:
    return spell.decimal(match.group().replace(".", "").replace(",", "."))


def _hexadecimal(match: Match, spell: Speller) -> str:
    figures = " ".join(spell.digits(one) if one.isdecimal() else one.upper() for one in match["figures"])
    return f"{spell.digits('0')} x {figures}"


_SPECIAL = {
    "24/7": "twenty-four seven", "9/11": "nine eleven", "7/7": "seven seven", "20/20": "twenty twenty",
    "4x4": "four by four",
}  # fmt: skip
_SCALE = "k|K|M|B|T|m|b|bn|mn|mln|bln|tn|trn"
_RAISED = "[⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+"
_FRACTION = r"(?:\d{1,4}\s)?\d{1,4}/[1-9]\d{0,3}"
_SIGNED = DIGITS + ".-−–"
_PLACES = r"\d{1,15}(?:\.\d{1,15}){2,20}"

RULES = (
    rule("code", "0", r"0[xX](?P<figures>[0-9A-Fa-f]{1,16})\b", _hexadecimal),
    rule("idiom", DIGITS, r"(?:24/7|9/11|7/7|20/20|4x4)(?![\w/])", lambda match, spell: _SPECIAL[match.group()]),
    rule("ordinal", DIGITS, rf"(?P<value>{WHOLE})(?i:st|nd|rd|th)\b", _ordinal),
    rule("cardinal", DIGITS, r"(?P<value>10{1,6})'?s\b(?=\sof\b)", _hundreds),
    rule("cardinal", DIGITS, r"(?P<value>[1-9]\d{0,2})(?P<ending>'?s|ers)\b", _persons),
    rule("power", DIGITS, rf"(?P<value>{NUMBER})\s?[x×*·]\s?10(?P<exponent>{_RAISED}|\s?(?:\^|\*\*)\s?\{{?[-−+]?\d{{1,3}}\}}?)",
         _exponential),  # fmt: skip
    rule("power", _SIGNED, rf"(?P<value>{NUMBER})[eE](?P<exponent>[-+]?\d{{1,3}})\b", _exponential,
         lambda match: match["exponent"][0] in "+-" or "." in match["value"] or "e" in match.group()),  # fmt: skip
    rule("footnote", DIGITS, r"(?P<base>1[1-9]\d\d|20\d\d)[⁰¹²³⁴⁵⁶⁷⁸⁹]+(?!\w)", _footnoted),
    rule("power", DIGITS, rf"(?P<base>{NUMBER})(?P<exponent>{_RAISED}|\s?(?:\^|\*\*)\s?\{{?[-−+]?\d{{1,4}}\}}?)(?![\d.])", _power),
    rule("scale", _SIGNED, rf"{SIGN}(?:(?P<low>{NUMBER})(?:{_SCALE})?\s?[-–]\s?)?(?P<value>{NUMBER})(?:\s?(?P<spaced>bn|mn|mln|bln|trn|tn)|(?P<scale>{_SCALE}))(?![\w/'])",
         _scaled, _is_scaled),  # fmt: skip
    rule("product", DIGITS, rf"(?P<values>{NUMBER}(?:\s?[x×*]\s?{NUMBER}){{1,4}})(?!\w)", _product),
    rule("multiple", DIGITS, rf"(?P<value>{NUMBER})[x×](?!\w)", _times),
    rule("version", DIGITS, rf"(?P<groups>{_PLACES})(?::(?P<port>\d{{1,5}}))?(?:/(?P<bits>\d{{1,2}}))?(?!\w)", _dotted),
    rule("decimal", DIGITS, r"\d{1,3}(?:\.\d{3})+,\d{1,2}(?![\d,])", _continental),
    rule("ratio", DIGITS, r"\d{1,9}(?::\d{1,9}){1,3}(?![\w:])", _ratio),
    rule("range", DIGITS + "-−", rf"{SIGN}(?P<low>{NUMBER})\s?[-–—]\s?(?P<high>{NUMBER})(?![\w/-]|[.,]\d| ?=)", _range),
    rule("year", DIGITS, r"(?P<a>1[5-9]\d\d|20\d\d)/(?P<b>\d\d|20\d\d)(?![\w/]|[.,]\d)", lambda match, spell: (
        f"{spell.year(match['a'])} {spell.short_year(match['b'])}")),  # fmt: skip
    rule("range", DIGITS, rf"(?P<low>{_FRACTION})\s?[-–]\s?(?P<high>{_FRACTION})(?![\w/])", lambda match, spell: (
        f"{amount(match['low'], spell)} to {amount(match['high'], spell)}")),  # fmt: skip
    rule("rating", DIGITS, rf"(?P<a>{NUMBER})/(?P<b>{NUMBER})(?![\w/]|[.,]\d)", _out_of, _is_rating),
    rule("fraction", _SIGNED, rf"{SIGN}(?P<amount>(?:\d{{1,9}}[ -])?\d{{1,9}}/[1-9]\d{{0,8}})(?:st|nd|rds?|ths?|s)?(?![\w/]|[.,]\d)", _fraction),
    rule("version", LETTERS, r"(?P<letters>[A-Za-z]{1,20})(?P<groups>\d{1,6}(?:\.\d{1,6}){1,5})(?P<tail>[a-z]{0,6})(?!\w|\.\w)",
         _version),  # fmt: skip
    rule("decimal", _SIGNED, rf"{SIGN}(?P<value>{WHOLE}?\.\d+)", _number),
)
CARDINAL_RULES = (rule("cardinal", DIGITS + "-−–", rf"{SIGN}(?P<value>{WHOLE})", _whole),)
