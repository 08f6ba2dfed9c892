"""Times of day and lengths of time in figures: "3:45 pm", "9am-5pm", "15:30", "10:15:30", "noon EST"."""

from __future__ import annotations

import re

from spear_accel.text.english.numbers import Speller
from spear_accel.text.english.patterns import DIGITS
from spear_accel.text.english.tokens import Match, full_stop, previous_word, rule

__all__ = ["BOOKS", "HALF_RULES", "RULES"]

_HALF = r"(?P<half>[aApP])\.?\s?[mM]\b\.?"
_FIRST_HALF = r"(?:\s?(?P<first_half>[aApP])\.?\s?[mM]\b\.?)?"
_MINUTE = r"(?P<minute>[0-5]\d)"
_ZONE = (
    r"(?:\s?(?P<zone>UTC|GMT|[ECMPA][SD]?T|BST|CES?T|[EWM]ES?T|IST|JST|AE[SD]T|HST|AKST|Z)\b(?:(?P<offset>[+-]\d{1,2})"
    r"(?::?00)?)?)?"
)
_OFFSET = r"(?P<zone>Z)?(?P<offset>)(?:(?P<sign>[+-])(?P<hours>\d\d):?(?P<minutes>\d\d))?"
_TO = r"(?:\s?[-–—]\s?|\sto\s)"
_ON_THE_CLOCK = re.compile(
    r"(?:at|from|by|until|till|before|after|around|about|between|open|opens|daily|hours?|closed?|closes)\Z",
    re.IGNORECASE,
)
_VERSES = re.compile(
    r"(?:Genesis|Gen|Exodus|Exod|Leviticus|Numbers|Deuteronomy|Deut|Joshua|Judges|Ruth|Samuel|Kings|Chronicles|Ezra|"
    r"Nehemiah|Esther|Job|Psalms?|Ps|Proverbs|Prov|Ecclesiastes|Isaiah|Isa|Jeremiah|Jer|Ezekiel|Daniel|Dan|Hosea|Joel|"
    r"Amos|Jonah|Micah|Zechariah|Malachi|Matthew|Matt|Mark|Luke|John|Acts|Romans|Rom|Corinthians|Cor|Galatians|Gal|"
    r"Ephesians|Eph|Philippians|Phil|Colossians|Col|Thessalonians|Timothy|Tim|Titus|Hebrews|Heb|James|Peter|Jude|"
    r"Habakkuk|Haggai|Lamentations|Nahum|Obadiah|Philemon|Zephaniah|Sirach|Tobit|Wisdom|Maccabees|Surah?|Quran|Koran|"
    r"Qur'an|Revelation|Rev)\.?\Z"
)


def _half(letter: str) -> str:
    return f"{letter.upper()} M"


def _clock(hour: str, minute: str | None, half: str | None, spell: Speller, plain: bool = False) -> str:
    """ "7", "05", "p" -> "seven oh five P M"; plain: without "o'clock"."""
    spoken = spell.cardinal(str(int(hour)))
    if minute and int(minute):
        spoken += f" oh {spell.cardinal(minute[1])}" if minute[0] == "0" else f" {spell.cardinal(minute)}"
    elif minute and not half and not plain:
        spoken += " o'clock" if 1 <= int(hour) <= 12 else " hundred"
    return f"{spoken} {_half(half)}" if half else spoken


def _zone(match: Match, spell: Speller) -> str:
    if not match["zone"]:
        return ""
    offset = match["offset"]
    words = "" if not offset else f" {'plus' if offset[0] == '+' else 'minus'} {spell.cardinal(str(int(offset[1:])))}"
    return f" {' '.join('UTC' if match['zone'] == 'Z' else match['zone'])}{words}"


def _time(match: Match, spell: Speller) -> str:
    half, second = match.groupdict().get("half"), match["second"]
    spoken = _clock(match["hour"], match["minute"], None, spell, plain=bool(half or second))
    if second:
        count = int(second)
        spoken += f" and {spell.cardinal(str(count))} second" + ("" if count == 1 else "s")
    return spoken + (f" {_half(half)}" if half else "") + _zone(match, spell) + full_stop(match)


def _hour(match: Match, spell: Speller) -> str:
    spoken = f"{spell.cardinal(str(int(match['hour'])))} {_half(match['half'])}"
    return spoken + _zone(match, spell) + full_stop(match)


def _range(match: Match, spell: Speller) -> str:
    half = match.groupdict().get("half")
    low = _clock(match["low"], match["low_minute"], match["first_half"], spell, plain=bool(half or match["first_half"]))
    high = _clock(match["hour"], match["minute"], half, spell)
    return f"{low} to {high}{_zone(match, spell)}{full_stop(match)}"


def _between_clocks(match: Match) -> bool:
    return int(match["low"]) < 25 and int(match["hour"]) < 25


def _span(match: Match, spell: Speller) -> str:
    """Hours, minutes, seconds and hundredths of a stopwatch."""
    parts = [spell.cardinal(str(int(one))) for one in match["parts"].split(":")]
    tail = f" point {spell.digits(match['tail'])}" if match["tail"] else ""
    return " ".join(parts) + tail


def _military(match: Match, spell: Speller) -> str:
    hour, minute = match["hour"], match["minute"]
    lead = f"{spell.digits(hour[0])} {spell.cardinal(hour[1])}" if hour[0] == "0" else spell.cardinal(hour)
    if minute == "00":
        return f"{lead} hundred hours"
    return f"{lead} {spell.short_year(minute)} hours"


def _verse(match: Match, spell: Speller) -> str:
    last = f" to {spell.cardinal(match['last'])}" if match["last"] else ""
    return f"{spell.cardinal(match['chapter'])} {spell.cardinal(match['verse'])}{last}"


def _is_verse(match: Match) -> bool:
    return bool(_VERSES.match(previous_word(match)))


def _instant(match: Match, spell: Speller) -> str:
    """The time of an ISO 8601 instant, with its zone."""
    words = _time(match, spell)
    if match["sign"]:
        words += f" {'plus' if match['sign'] == '+' else 'minus'} {spell.cardinal(str(int(match['hours'])))}"
        words += f" {spell.cardinal(match['minutes'])}" if int(match["minutes"]) else ""
    return words


def _zone_offset(match: Match, spell: Speller) -> str:
    hours, _, minutes = match["offset"].partition(":")
    words = f"{' '.join(match['zone'])} {'plus' if match['sign'] == '+' else 'minus'} {spell.cardinal(str(int(hours)))}"
    return words + (f" {spell.cardinal(minutes)}" if minutes and int(minutes) else "")


BOOKS = {
    "Gen": "Genesis", "Exod": "Exodus", "Lev": "Leviticus", "Deut": "Deuteronomy", "Sam": "Samuel", "Ps": "Psalm",
    "Prov": "Proverbs", "Isa": "Isaiah", "Jer": "Jeremiah", "Dan": "Daniel", "Matt": "Matthew", "Rom": "Romans",
    "Cor": "Corinthians", "Gal": "Galatians", "Eph": "Ephesians", "Phil": "Philippians", "Col": "Colossians",
    "Thess": "Thessalonians", "Tim": "Timothy", "Heb": "Hebrews", "Pet": "Peter", "Rev": "Revelation",
}  # fmt: skip
_BOOK = "|".join(BOOKS)
_COUNT = {"1": "First", "2": "Second", "3": "Third"}

RULES = (
    rule(
        "verse",
        "123",
        rf"(?P<count>[1-3])\s(?=(?:{_BOOK}|Samuel|Kings|Chronicles|Corinthians|Peter|John|Timothy)\.?\s\d{{1,3}}:\d)",
        lambda match, spell: f"{_COUNT[match['count']]} ",
    ),
    rule(
        "verse",
        "GELDSPIJMRCTH",
        rf"(?P<book>{_BOOK})\.?\s(?=\d{{1,3}}:\d)",
        lambda match, spell: f"{BOOKS[match['book']]} ",
    ),
    rule(
        "verse",
        DIGITS,
        r"(?P<chapter>\d{1,3}):(?P<verse>\d{1,3})(?:\s?[-–]\s?(?P<last>\d{1,3}))?(?![\w:])",
        _verse,
        _is_verse,
    ),
    rule(
        "time",
        DIGITS,
        rf"(?P<low>1\d|2[0-3]|0?\d)(?:[:.](?P<low_minute>[0-5]\d))?{_FIRST_HALF}{_TO}"
        rf"(?P<hour>1[0-2]|0?[1-9])(?:[:.]{_MINUTE})?\s?{_HALF}{_ZONE}",
        _range,
    ),
    rule(
        "time",
        DIGITS,
        rf"(?P<low>[01]?\d|2[0-4])(?::(?P<low_minute>[0-5]\d)){_FIRST_HALF}{_TO}(?P<hour>[01]?\d|2[0-4]):{_MINUTE}"
        rf"(?!\d|:\d){_ZONE}",
        _range,
        _between_clocks,
    ),
    rule(
        "time",
        DIGITS,
        rf"(?<=\dT)(?P<hour>[01]\d|2[0-3]):{_MINUTE}(?::(?P<second>[0-5]\d)(?:\.\d+)?)?{_OFFSET}(?![\w:])",
        _instant,
    ),
    rule("time", "UG", r"(?P<zone>UTC|GMT)\s?(?P<sign>[-−–+])(?P<offset>\d{1,2}(?::[0-5]\d)?)(?![\w:])", _zone_offset),
    rule(
        "time",
        DIGITS,
        rf"(?P<hour>[01]?\d|2[0-4])\.{_MINUTE}(?=\s(?:Uhr|hrs|hours|h)\b)",
        lambda match, spell: _clock(match["hour"], match["minute"], None, spell),
    ),
    rule("time", DIGITS, rf"(?P<hour>[01]?\d|2[0-3])[:.]{_MINUTE}(?::(?P<second>[0-5]\d))?\s?{_HALF}{_ZONE}", _time),
    rule("time", DIGITS, rf"(?P<hour>1[0-2]|0?[1-9])\s?{_HALF}{_ZONE}", _hour),
    rule("time", DIGITS, r"(?P<parts>\d{1,3}(?::[0-5]\d){1,2})\.(?P<tail>\d{1,3})(?!\d|\.\d)", _span),
    rule(
        "time",
        DIGITS,
        rf"(?P<hour>[01]?\d|2[0-4]):{_MINUTE}(?::(?P<second>[0-5]\d))?(?!\d|:\d){_ZONE}",
        _time,
    ),
    rule("time", DIGITS, r"(?P<hour>[01]\d|2[0-4])[:h]?(?P<minute>[0-5]\d)\s?(?:hrs|hours)\b\.?", _military),
    rule(
        "time",
        " -–",
        r"(?<=[AaPp][Mm])\s?[-–]\s?(?=noon|midnight|close|late)|(?<=noon)\s?[-–]\s?(?=\d)|"
        r"(?<=midnight)\s?[-–]\s?(?=\d)",
        " to ",
    ),
    rule(
        "time",
        DIGITS,
        r"(?P<hour>[01]?\d|2[0-3])h(?P<minute>[0-5]\d)\b",
        lambda match, spell: _clock(match["hour"], match["minute"], None, spell),
    ),
)
HALF_RULES = (rule("time", "aApP", rf"{_HALF}", lambda match, spell: _half(match["half"]) + full_stop(match),
                   lambda match: "." in match.group()),)  # fmt: skip
