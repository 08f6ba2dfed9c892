"""Dates: "May 17, 2024", "17 May", "2024-05-17", "05/17/2024", "May 5-7", "Q3 2024", "the '90s", "44 BC"."""

from __future__ import annotations

import re

from spear_accel.text.english.numbers import Speller
from spear_accel.text.english.patterns import DIGITS
from spear_accel.text.english.tokens import Match, full_stop, previous_word, rule

__all__ = ["MONTHS", "RULES"]

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_DAYS = {
    "Mon": "Monday", "Tue": "Tuesday", "Tues": "Tuesday", "Wed": "Wednesday", "Weds": "Wednesday", "Thu": "Thursday",
    "Thur": "Thursday", "Thurs": "Thursday", "Fri": "Friday", "Sat": "Saturday", "Sun": "Sunday",
}  # fmt: skip
_SHORT_DAY = "|".join(sorted(_DAYS, key=len, reverse=True))
_FORMS = {form for month in MONTHS for name in (month, month[:3]) for form in (name, name.upper())}
_NAMES = sorted({*_FORMS, "Sept", "SEPT"}, key=lambda name: (-len(name), name))
_MONTH = rf"(?P<month>(?:{'|'.join(_NAMES)}))\b\.?"
_ANY_MONTH = _MONTH.replace("?P<month>", "?:")
_DAY = r"(?P<day>3[01]|[12]\d|0?[1-9])"
_SUFFIX = r"(?:st|nd|rd|th)?"
_OWN_SUFFIX = r"(?P<suffix>st|nd|rd|th)?"
_YEAR = r"(?P<year>[12]\d{3})(?![\d,.:/]\d|\d)"
_SHORT_YEAR = rf"(?:{_YEAR}|'(?P<short>\d\d)\b)"
_HOURS = re.compile(r"\s\d{1,2}(?::\d\d)?\s?(?:[-–]|[ap]\.?m\b)", re.IGNORECASE)
_CLOCK_AFTER = re.compile(r"\s?(?::\d|[ap]\.?m\b)", re.IGNORECASE)
_ON = re.compile(r"(?:on|by|from|until|till|dated?|due|since|before|after|to|through|thru|expires|born|starting|"
                 r"Mon|Tues?|Wed|Thu(?:rs)?|Fri|Sat|Sun|Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)\Z",
                 re.IGNORECASE)  # fmt: skip


def _month(name: str) -> str:
    return next(month for month in MONTHS if month.startswith(name[:3].capitalize()))


def _month_first(month: str, day: str, year: str | None, spell: Speller) -> str:
    return f"{month} {spell.ordinal(str(int(day)))}" + (f", {spell.short_year(year)}" if year else "")


def _article(match: Match) -> str:
    before = previous_word(match, 6).lower()
    joined = before in ("and", "or") and match["suffix"]
    return "" if before == "the" or joined else "the "


def _iso(match: Match, spell: Speller) -> str:
    return _month_first(MONTHS[int(match["m"]) - 1], match["d"], match["y"], spell)


def _year_of(match: Match) -> str | None:
    return match["year"] or match["short"]


def _month_day(match: Match, spell: Speller) -> str:
    last = f" to {spell.ordinal(match['last'])}" if match["last"] else ""
    spoken = f"{_month(match['month'])} {spell.ordinal(str(int(match['day'])))}{last}"
    return spoken + (f", {spell.short_year(year)}" if (year := _year_of(match)) else "")


def _no_clock_after(match: Match) -> bool:
    return not _CLOCK_AFTER.match(match.string, match.end())


def _day_month(match: Match, spell: Speller) -> str:
    last = match["last"]
    day = spell.ordinal(str(int(match["day"]))) + (f" to the {spell.ordinal(last)}" if last else "")
    spoken = f"{_article(match)}{day} of {_month(match['month'])}"
    return spoken + (f", {spell.short_year(year)}" if (year := _year_of(match)) else full_stop(match))


def _month_year(match: Match, spell: Speller) -> str:
    return f"{_month(match['month'])} {spell.short_year(match['year'] or match['short'])}"


def _month_day_of(match: Match, day_first: bool) -> tuple[int, int] | None:
    """Month and day of a date in figures; a number above twelve decides, then dots (day first), then the option."""
    first, second = int(match["a"]), int(match["b"])
    month, day = (second, first) if match["sep"] == "." or day_first else (first, second)
    if month > 12:
        month, day = day, month
    return (month, day) if 1 <= month <= 12 and 1 <= day <= 31 else None


def _figures(match: Match, spell: Speller) -> str:
    month, day = _month_day_of(match, spell.options.day_first) or (1, 1)
    return _month_first(MONTHS[month - 1], str(day), match["year"], spell)


def _month_in_figures(match: Match, spell: Speller) -> str:
    return f"{MONTHS[int(match['m'] or match['first']) - 1]} {spell.year(match['y'] or match['year'])}"


def _day_and_month(match: Match, spell: Speller) -> str:
    month, day = _month_day_of(match, spell.options.day_first) or (1, 1)
    return _month_first(MONTHS[month - 1], str(day), None, spell)


def _is_date(match: Match) -> bool:
    return _month_day_of(match, False) is not None


def _is_short_date(match: Match) -> bool:
    """ "on 5/17": a day and a month, and no fraction."""
    before = previous_word(match)
    weekday = before[:3].title() in _DAYS and before[:1].isupper()
    return bool(_ON.search(before)) and _is_date(match) and (int(match["b"]) > 4 or weekday)


def _quarter(match: Match, spell: Speller) -> str:
    year = f" {spell.short_year(match['year'])}" if match["year"] else ""
    return f"{match['letter']} {spell.cardinal(match['number'])}{year}"


def _day_span(match: Match, spell: Speller) -> str:
    return f"{_DAYS[match['a']]} to {_DAYS[match['b']]}"


def _month_span(match: Match, spell: Speller) -> str:
    return f"{_month(match['month'])} to {_month(match['last'])}"


def _day_of_date(match: Match, spell: Speller) -> str:
    return f"{_DAYS[match['a']]},"


_NAMED_START = "JFMASOND"

RULES = (
    rule(
        "date",
        DIGITS,
        r"(?P<y>[12]\d{3})(?P<sep>[-/.])(?P<m>0?[1-9]|1[0-2])(?P=sep)(?P<d>[12]\d|3[01]|0?[1-9])(?![\w/-]|\.\d)",
        _iso,
    ),
    rule("date", DIGITS, r"(?P<y>[12]\d{3})-(?P<m>0[1-9]|1[0-2])-(?P<d>0[1-9]|[12]\d|3[01])T(?=\d\d:\d\d)", _iso),
    rule(
        "date",
        DIGITS,
        r"(?<![\w./-])(?P<a>\d{1,2})(?P<sep>[/.-])(?P<b>\d{1,2})(?P=sep)(?P<year>[12]\d{3}|\d\d)(?![\w/-]|\.\d)",
        _figures,
        _is_date,
    ),
    rule(
        "date",
        DIGITS,
        r"(?P<y>[12]\d{3})-(?P<m>0[1-9]|1[0-2])(?![\w/.:-])|(?P<first>0[1-9]|1[0-2])/(?P<year>(?:19|20)\d\d)(?![\w/.-])",
        _month_in_figures,
        lambda match: match["m"] is None or int(match["m"]) <= int(match["y"][2:]) % 100 or match["y"] < "1900",
    ),
    rule("date", DIGITS, r"(?P<a>\d{1,2})(?P<sep>/)(?P<b>\d{1,2})(?![\w/-]|\.\d)", _day_and_month, _is_short_date),
    rule(
        "date",
        _NAMED_START,
        rf"{_MONTH}\s{_DAY}{_SUFFIX}(?:\s?[-–]\s?(?P<last>3[01]|[12]\d|[1-9]){_SUFFIX})?(?![\w%]|[.,:]\d)"
        rf"(?:,?\s{_SHORT_YEAR})?",
        _month_day,
        _no_clock_after,
    ),
    rule(
        "date",
        DIGITS,
        rf"(?<![$/:-]){_DAY}{_OWN_SUFFIX}(?:\s?[-–]\s?(?P<last>3[01]|[12]\d|[1-9]){_SUFFIX})?(?:\sof)?[ -]{_MONTH}"
        rf"(?![-'])(?:,?[ -]{_SHORT_YEAR})?",
        _day_month,
    ),
    rule(
        "date",
        DIGITS,
        rf"{_DAY}-{_MONTH}-{_SHORT_YEAR}",
        lambda match, spell: _month_first(_month(match["month"]), match["day"], match["year"] or match["short"], spell),
    ),
    rule("date", _NAMED_START, rf"{_MONTH},?\s{_SHORT_YEAR}(?!\w)", _month_year),
    rule(
        "date",
        "QH",
        r"(?P<a>[QH][1-4])\s?[-–]\s?(?P<b>[QH][1-4])(?!\w)",
        lambda match, spell: " to ".join(f"{one[0]} {spell.cardinal(one[1])}" for one in (match["a"], match["b"])),
    ),
    rule(
        "date",
        "QH",
        r"(?P<letter>[QH])(?P<number>[1-4])(?:\s'?(?P<year>[12]\d{3}|(?<=')\d\d)(?![\d%]))?(?!\w)",
        _quarter,
    ),
    rule(
        "date",
        "S",
        r"(?P<a>Sat|Sun)\.?\s(?P<joint>&|and|or)\s(?P<b>Sat|Sun)\b\.?",
        lambda match, spell: f"{_DAYS[match['a']]} {match['joint'].replace('&', 'and')} {_DAYS[match['b']]}",
    ),
    rule("date", "M", r"M[-–]F(?=,?\s\d)", "Monday to Friday"),
    rule("date", _NAMED_START, rf"{_MONTH}\s?[-–]\s?(?P<last>{'|'.join(_NAMES)})\b\.?(?!\s\d)", _month_span),
    rule(
        "date", " -–", rf"(?<=\d)\s?[-–]\s?(?={_ANY_MONTH}\s\d)|(?<=[a-z])\s?[-–]\s?(?=\d{{1,2}}\s{_ANY_MONTH})", " to "
    ),
    rule(
        "date",
        "MTWFS",
        rf"(?P<a>{_SHORT_DAY})/(?P<b>{_SHORT_DAY})\b",
        lambda match, spell: f"{_DAYS[match['a']]} slash {_DAYS[match['b']]}",
    ),
    rule("date", "MTWFS", rf"(?P<a>{_SHORT_DAY})\.?\s?[-–]\s?(?P<b>{_SHORT_DAY})\b\.?", _day_span),
    rule(
        "date",
        "MTWFS",
        rf"(?P<a>{_SHORT_DAY})\b\.?,?(?=\s(?:{_ANY_MONTH}|\d))",
        _day_of_date,
        lambda match: (
            match["a"] not in ("Sat", "Sun")
            or "." in match.group()
            or "," in match.group()
            or bool(_HOURS.match(match.string, match.end()))
        ),
    ),
)
