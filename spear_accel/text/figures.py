"""Reads the figures that are left once dates, money and measures have gone: ordinals, decades, telephone numbers,
ranges, fractions, decimals, versions, years, codes such as "MP3", sums, and plain numbers."""

from __future__ import annotations

import re

from spear_accel.text import numbers
from spear_accel.text.quantities import amount
from spear_accel.text.rules import NUMBER, SIGN, START, Rule

_WHOLE = r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)"
_BEFORE_YEAR = re.compile(
    r"\b(?:in|of|since|until|till|before|after|year|circa|during|early|late|mid)\s\Z",
    re.IGNORECASE,
)
_COUNTED = re.compile(r"\s(?:people|men|women|children|feet|(?!was|this|has|as\b|is\b|its\b|thus)[a-z]{2,}[a-rt-z]s)\b")
_SPECIAL = {"24/7": "twenty-four seven", "9/11": "nine eleven"}
# A run of digits this long is a telephone or account number.
_LONG_RUN = 10


def _phone(match: re.Match[str]) -> str:
    groups = re.findall(r"\+?\d+", match.group())
    return ", ".join(("plus " if group[0] == "+" else "") + numbers.digits(group) for group in groups)


def _seven_digits(match: re.Match[str]) -> str:
    return match.group() if match.group().endswith("00") else _phone(match)


def _dotted(match: re.Match[str]) -> str:
    groups = match.group().split(".")
    if len(groups) == 4:
        return " dot ".join(map(numbers.digits, groups))
    return " point ".join(map(numbers.cardinal, groups))


def _is_year(text: str) -> bool:
    return len(text) == 4 and text[:2] in ("11", "12", "13", "14", "15", "16", "17", "18", "19", "20")


def _range(match: re.Match[str]) -> str:
    low, high = match["low"], match["high"]
    if _is_year(low) and (_is_year(high) or (len(high) == 2 and int(high) > int(low[2:]))):
        last = numbers.year(high) if len(high) == 4 else numbers.cardinal(high)
        return f"{numbers.year(low)} to {last}"
    return f"{numbers.decimal(low)} to {numbers.decimal(high)}"


def _fraction(match: re.Match[str]) -> str:
    text = match.group()
    if text in _SPECIAL:
        return _SPECIAL[text]
    whole, top, bottom = match["whole"], match["top"], match["bottom"]
    if whole and int(top) >= int(bottom):
        return f"{numbers.cardinal(whole)} {numbers.fraction(top, bottom)}"
    return amount(text)


def _number(match: re.Match[str]) -> str:
    return ("minus " if match["sign"] else "") + numbers.decimal(match["value"])


def _whole(match: re.Match[str]) -> str:
    text = match.group()
    if _reads_as_year(text, match):
        return numbers.year(text)
    return numbers.digits(text) if len(text) >= _LONG_RUN else numbers.cardinal(text)


def _reads_as_year(text: str, match: re.Match[str]) -> bool:
    before = match.string[max(0, match.start() - 12) : match.start()]
    if _BEFORE_YEAR.search(before) and (_is_year(text) or re.fullmatch("10[1-9][0-9]", text)):
        return True
    return _is_year(text) and not _COUNTED.match(match.string[match.end() : match.end() + 20])


def _era(match: re.Match[str]) -> str:
    return f"{numbers.year(match['year'])} {' '.join(match['era'])}"


def _scaled(match: re.Match[str]) -> str:
    return f"{numbers.decimal(match['value'])} " + {"k": "thousand", "M": "million", "bn": "billion"}[match["scale"]]


def _code(match: re.Match[str]) -> str:
    """A word of letters and digits: split where they meet, and only short figures as numbers."""
    parts = re.findall(r"\d+|[^\W\d_]+|_+", match.group())
    return " ".join(_code_part(part) for part in parts)


def _code_part(part: str) -> str:
    if not part[0].isdigit():
        return part
    return numbers.cardinal(part) if len(part) <= 2 else numbers.digits(part)


def _times(match: re.Match[str]) -> str:
    return f" {match['sign']} ".replace("x", "times").replace("×", "times").replace("*", "times")


def _spoken_sign(sign: str) -> str:
    return {"^": " to the power of ", "<": " is less than ", ">": " is greater than ", "/": " divided by "}[sign]


RULES: tuple[Rule, ...] = (
    (re.compile(r"(?<![\w+-])\+\d{1,3}(?:[ .-]?\(?\d{1,5}\)?){2,6}(?![\w-])"), _phone),
    (re.compile(r"(?<![\w-])(?:\(\d{3}\)\s?|\d{3}[. -])\d{3}[. -]\d{4}(?![\w-])"), _phone),
    (re.compile(r"(?<![\w.-])0\d{2,4} \d{3,4} \d{3,4}(?![\w-])"), _phone),
    (re.compile(r"(?<![\w.-])\d{3}-\d{4}(?![\w-])"), _seven_digits),
    (re.compile(r"(?<![\w.-])\d{1,15}(?:-\d{1,15}){2,8}(?![\w-])"), _phone),
    (re.compile(rf"(?<![\w.])(?P<value>{_WHOLE})(?i:st|nd|rd|th)\b"), lambda m: numbers.ordinal(m["value"])),
    (re.compile(r"(?<![\w.])'?(?P<value>[12]\d\d0|[1-9]0)'?s\b"), lambda m: numbers.decade(m["value"])),
    (re.compile(r"(?<![\w'])'(?P<value>\d\d)\b(?!')"), lambda m: numbers.cardinal(str(int(m["value"])))),
    (re.compile(r"(?<![\w.,])(?P<year>\d{3,4}) (?P<era>AD|BC|CE|BCE)\b"), _era),
    (re.compile(rf"{START}(?P<value>{NUMBER})(?P<scale>k|M|bn)\b"), _scaled),
    (re.compile(r"(?<=\d)\s?(?P<sign>[x×*])\s?(?=\d)"), _times),
    (re.compile(r"(?<=\d)x\b"), lambda match: " times"),
    (re.compile(r"(?<=\d) [-\u2013] (?=\d[\d.,]{0,20} ?=)"), lambda match: " minus "),
    (re.compile(r"(?<=\d)\s?(?P<sign>\^)\s?(?=\d)"), lambda match: _spoken_sign("^")),
    (re.compile(r"(?<=[\dA-Za-z])\s?(?P<sign>[<>])\s?(?=-?\d)"), lambda match: _spoken_sign(match["sign"])),
    (re.compile(r"(?<=\d)(?: / |\s?÷\s?)(?=\d)"), lambda match: _spoken_sign("/")),
    (re.compile(r"(?<![\w.,-])\d{1,15}(?:\.\d{1,15}){2,20}(?![\w])"), _dotted),
    (
        re.compile(rf"(?<![\w.,/-])(?P<low>{NUMBER})\s?[-\u2013]\s?(?P<high>{NUMBER})(?![\w/-]|[.,]\d)"),
        _range,
    ),
    (
        re.compile(r"(?<![\w./,-])(?:(?P<whole>\d{1,9})\s)?(?P<top>\d{1,9})/(?P<bottom>\d{1,9})(?![\w/]|[.,]\d)"),
        _fraction,
    ),
    (re.compile(r"(?<=\d):(?=\d)"), lambda match: " to "),
    (re.compile(r"\b(?=[A-Za-z_]{0,30}\d)(?=\d{0,30}[A-Za-z_])[A-Za-z0-9_]+\b"), _code),
    (re.compile(rf"(?P<sign>{SIGN})(?<![\d.])(?P<value>{_WHOLE}?\.\d+)"), _number),
    (re.compile(r"(?P<sign>(?<![\w.,)-])-)(?P<value>\d[\d,]*)"), lambda match: f"minus {match['value']}"),
    (re.compile(r"\d{1,3}(?:,\d{3})+(?!\d)"), lambda match: numbers.cardinal(match.group())),
    (re.compile(r"\d+"), _whole),
)
