"""Reads dates and times of day. Knows nothing about other figures.

An all-figure date with slashes is month first unless only the other order is possible; with dots, day first.
"""

from __future__ import annotations

import re

from spear_accel.text import numbers
from spear_accel.text.rules import Rule, full_stop

_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_MONTH = (
    r"(?P<month>Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|"
    r"Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)\b\.?"
)
_DAY = r"(?P<day>3[01]|[12]\d|0?[1-9])"
_YEAR = r"(?P<year>\d{4})(?![\d,.:]\d|\d)"
_HALF_DAY = r"(?P<half>[aApP])\.?\s?[mM]\b\.?"


def _month(name: str) -> str:
    return next(month for month in _MONTHS if month.startswith(name[:3].capitalize()))


def _american(month: str, day: str, year: str | None) -> str:
    return f"{month} {numbers.ordinal(str(int(day)))}" + (f", {_spoken_year(year)}" if year else "")


def _spoken_year(text: str) -> str:
    if len(text) == 2:
        return f"oh {numbers.cardinal(text[1])}" if text[0] == "0" else numbers.cardinal(text)
    return numbers.year(text)


def _iso(match: re.Match[str]) -> str:
    return _american(_MONTHS[int(match["m"]) - 1], match["d"], match["y"])


def _month_day(match: re.Match[str]) -> str:
    last = f" to {numbers.ordinal(match['last'])}" if match["last"] else ""
    spoken = _american(_month(match["month"]), match["day"], None) + last
    return spoken + (f", {_spoken_year(match['year'])}" if match["year"] else "")


def _day_month(match: re.Match[str]) -> str:
    day = f"{numbers.ordinal(str(int(match['day'])))} of {_month(match['month'])}"
    return f"the {day}" + (f", {_spoken_year(match['year'])}" if match["year"] else full_stop(match))


def _month_year(match: re.Match[str]) -> str:
    return f"{_month(match['month'])} {_spoken_year(match['year'])}"


def _slashed(match: re.Match[str]) -> str:
    first, second = int(match["a"]), int(match["b"])
    day_first = match["sep"] == "." or first > 12
    month, day = (second, first) if day_first else (first, second)
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return match.group()
    return _american(_MONTHS[month - 1], str(day), match["year"])


def _half_day(match: re.Match[str]) -> str:
    return f"{match['half'].upper()} M" + full_stop(match)


def _clock(match: re.Match[str]) -> str:
    hour, minute, second = int(match["hour"]), match["minute"], match["second"]
    half = match.groupdict().get("half")
    spoken = numbers.cardinal(str(hour))
    if int(minute):
        spoken += f" oh {numbers.cardinal(minute[1])}" if minute[0] == "0" else f" {numbers.cardinal(minute)}"
    elif not half and not second:
        spoken += " o'clock" if 1 <= hour <= 12 else " hundred"
    if second:
        count = int(second)
        spoken += f" and {numbers.cardinal(str(count))} second" + ("" if count == 1 else "s")
    return f"{spoken} {_half_day(match)}" if half else spoken


def _hour(match: re.Match[str]) -> str:
    return f"{numbers.cardinal(str(int(match['hour'])))} {_half_day(match)}"


RULES: tuple[Rule, ...] = (
    (
        re.compile(
            rf"(?<![\d:.,])(?P<hour>[01]?\d|2[0-3])[:.](?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d))?\s?{_HALF_DAY}"
        ),
        _clock,
    ),
    (re.compile(rf"(?<![\d:.,])(?P<hour>1[0-2]|0?[1-9])\s?{_HALF_DAY}"), _hour),
    (
        re.compile(r"(?<![\w:.,])(?P<hour>[01]?\d|2[0-4]):(?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d))?(?!\d|:\d)"),
        _clock,
    ),
    # "ten:forty-five a.m." (times that are already words) and any "p.m." left.
    (re.compile(r"(?<![\w.])(?P<half>[aApP])\.\s?[mM]\b\.?"), _half_day),
    (re.compile(r"(?<![\w-])(?P<y>[12]\d{3})-(?P<m>0[1-9]|1[0-2])-(?P<d>0[1-9]|[12]\d|3[01])(?![\w-])"), _iso),
    (
        re.compile(
            r"(?<![\w./-])(?P<a>\d{1,2})(?P<sep>[/.])(?P<b>\d{1,2})(?P=sep)(?P<year>[12]\d{3}|\d\d)(?![\w/-]|\.\d)"
        ),
        _slashed,
    ),
    (
        re.compile(
            rf"\b{_MONTH}\s{_DAY}(?:st|nd|rd|th)?(?:\s?[-\u2013]\s?(?P<last>3[01]|[12]\d|[1-9])(?:st|nd|rd|th)?)?"
            rf"(?![\w:%]|[.,]\d)(?:,?\s{_YEAR})?"
        ),
        _month_day,
    ),
    (
        re.compile(rf"(?:\b[Tt]he\s)?(?<![\w.,$/:-]){_DAY}(?:st|nd|rd|th)?(?:\sof)?\s{_MONTH}(?:,?\s{_YEAR})?"),
        _day_month,
    ),
    (re.compile(rf"\b{_MONTH},?\s{_YEAR}(?!\w)"), _month_year),
)
