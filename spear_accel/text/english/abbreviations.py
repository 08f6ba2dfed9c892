"""Abbreviations: titles, "e.g.", "Inc.", "No. 5", dotted acronyms, initials, streets, and words read otherwise."""

from __future__ import annotations

import re

from spear_accel.text.english import tables
from spear_accel.text.english.capitals import letters
from spear_accel.text.english.numbers import Speller
from spear_accel.text.english.patterns import LETTERS, UPPER
from spear_accel.text.english.tokens import Match, full_stop, previous_word, rule, sentence_ends

__all__ = ["RULES", "UNDOTTED"]

_TITLES = tables.pairs("titles")
_WORDS = tables.pairs("abbreviations")
_DOT = {row[0]: row[2] for row in tables.rows("abbreviations")}
_NUMBERED = tables.pairs("numbered")
_NUMBERED_DOT = {row[0] for row in tables.rows("numbered") if row[2] == "dot"}
_LATIN = tables.pairs("latin")
_READINGS = tables.pairs("plain_readings")
_READINGS = {
    name.capitalize(): spoken[0].upper() + spoken[1:]
    for name, spoken in _READINGS.items()
    if name.islower() and name.isalpha()
} | _READINGS
UNDOTTED = {
    **{name: spoken for name, spoken in _WORDS.items() if _DOT[name] == "either"},
    **{name: spoken for name, spoken in _READINGS.items() if name.isalpha()},
    **{name: _TITLES[name] for name in ("Mr", "Mrs", "Ms", "Messrs")},
    "Dr": "Doctor",
    "St": "Street",
}
"""Words that are read otherwise than they are written even without a dot."""
_WITH_MARKS = tables.alternatives(set(tables.words("names_with_marks")))
_CAPITALISED_BEFORE = re.compile(r"[A-Z][a-z]+\s\Z")
_AFTER_TOWN = re.compile(r"[A-Z][a-z]+, \Z")
_NO_NAMES = frozenset("The A Ask Call Our My His Her See Your Dear And But Hi Hello Thanks Yes No".split())
_STREET_GOES_ON = re.compile(
    r"\s(?:Journal|Station|Bridge|Market|Address|Theatre|Theater|Church|School|Park|Cafe|Bar|Hotel|N|S|E|W|NE|NW|SE|SW)\b"
)
_SAINTS = re.compile(r"\s(?:[A-Z][a-z]+(?:'s)?)\b")
_FORT = re.compile(
    r"\s(?:Worth|Lauderdale|Knox|Bragg|Wayne|Myers|Collins|Smith|Hood|Sumter|Dix|Lee|Benning|Meade|[A-Z])"
)


def _title(match: Match, spell: Speller) -> str:
    return f"{_TITLES[match['word']]} "


def _word(match: Match, spell: Speller) -> str:
    return _WORDS[match["word"]] + _stop_of(match)


def _stop_of(match: Match) -> str:
    return "." if match.group().endswith(".") and sentence_ends(match.string, match.end()) else ""


def _is_abbreviation(match: Match) -> bool:
    """Whether the dot, where it is needed, is there and is no full stop."""
    need, dotted = _DOT[match["word"]], match.group().endswith(".")
    if need == "either":
        return True
    if not dotted:
        return False
    if need == "stop" and _AFTER_TOWN.search(match.string, max(0, match.start() - 24), match.start()):
        return match["word"][0].isupper()
    if need == "stop":
        return not sentence_ends(match.string, match.end()) and not re.match(
            r"\s*\Z", match.string[match.end() : match.end() + 3]
        )
    return True


def _is_name_next(match: Match) -> bool:
    return not sentence_ends(match.string, match.end() - len(match["gap"] or ""))


def _after_name(match: Match) -> bool:
    before = previous_word(match)
    return (
        bool(_CAPITALISED_BEFORE.search(match.string, max(0, match.start() - 30), match.start()))
        and before not in _NO_NAMES
    )


def _saint_or_street(match: Match, spell: Speller) -> str:
    """ "St. Paul" but "Main St. The" and "the Wall St. Journal"."""
    if match["close"] is not None or (match["gap"] and _is_name_next(match) and not _is_street(match)):
        return "Saint "
    return "Street" + _full_stop_before_gap(match) + (match["gap"] or "")


def _is_street(match: Match) -> bool:
    return _after_name(match) and bool(_STREET_GOES_ON.match(match.string, match.end() - len(match["gap"] or "")))


def _doctor_or_drive(match: Match, spell: Speller) -> str:
    if _after_name(match) and not (match["gap"] and _is_name_next(match)):
        return "Drive" + _full_stop_before_gap(match) + (match["gap"] or "")
    return "Doctor "


def _full_stop_before_gap(match: Match) -> str:
    end = match.end() - len(match["gap"] or "")
    return "." if match.string[end - 1] == "." and sentence_ends(match.string, end) else ""


def _numbered(match: Match, spell: Speller) -> str:
    return _NUMBERED[match["word"]] + " "


def _has_number(match: Match) -> bool:
    return match["dot"] == "." or match["word"] not in _NUMBERED_DOT


def _latin(match: Match, spell: Speller) -> str:
    return _LATIN[re.sub(r"(?<=\.)\s(?=[a-z])", "", match["word"]).lower()]


def _dotted(match: Match, spell: Speller) -> str:
    ending = "'s" if match["ending"] else ""
    return letters(match["letters"]) + ending + full_stop(match)


def _degree(match: Match, spell: Speller) -> str:
    return letters(match["letters"]) + full_stop(match)


def _initial(match: Match, spell: Speller) -> str:
    return match["letter"] + ("" if match.string[match.end()].isspace() else " ")


def _is_initial(match: Match) -> bool:
    """No end of a sentence after a lone letter ("plan B. The"), and a name goes on."""
    return not sentence_ends(match.string, match.end())


def _reading(match: Match, spell: Speller) -> str:
    return _READINGS[match["word"]] + (_stop_of(match) if match.group().endswith(".") else "")


def _name_with_mark(match: Match, spell: Speller) -> str:
    return match.group()[:-1]


def _name_goes_on(match: Match) -> bool:
    text, end = match.string, match.end()
    return bool(re.match(r"[ ,;:'-]", text[end : end + 1])) and not sentence_ends(text, end)


RULES = (
    rule(
        "abbreviation",
        "eEiIaAnNqopPl",
        r"(?<![\w.])(?P<word>[eE]\.g|[iI]\.e|e\. g|i\. e|[aA]\.[kK]\.[aA]|[nN]\.[bB]|q\.v|p\.a|op\.\s?cit|loc\.\s?cit|"
        r"[pP]\.[sS]|et al)"
        r"(?:\.(?=[\W_]|\Z|[a-z])|(?![\w.'-]))",
        _latin,
    ),
    rule("name", UPPER, rf"(?:{_WITH_MARKS})", _name_with_mark, _name_goes_on),
    rule(
        "reading",
        LETTERS,
        rf"(?P<word>{tables.alternatives(set(_READINGS))})(?![\w/&+]|'(?!s\b))(?:\.(?=\s[a-z]))?",
        _reading,
    ),
    rule("title", UPPER, rf"(?P<word>{tables.alternatives(set(_TITLES))})\.\s*(?=[A-Z]|and\b|&)", _title),
    rule("title", UPPER, r"(?P<word>Prof|Capt|Sgt|Lt|Cpl|Revd|Supt|Insp|Mt|Ste)\s(?=[A-Z][a-z])", _title),
    rule("title", "M", r"(?P<word>Mrs?|Ms|Messrs)\b\.?\s?", _title),
    rule("title", "D", r"Dr\b(?:\.?(?P<gap> )(?=[A-Z])|\.?)", _doctor_or_drive),
    rule("street", "S", r"St\b(?:\.?(?P<gap> )(?=[A-Z])|\.(?P<close>)(?=[A-Z])|\.?)(?!')", _saint_or_street),
    rule(
        "abbreviation",
        LETTERS,
        rf"(?P<word>{tables.alternatives(set(_NUMBERED))})(?P<dot>\.?)\s?(?=[#(]?\d|[A-Z]{{1,2}}-?\d|[IVXLC]{{2,}}\b|[VX]\b)",
        _numbered,
        _has_number,
    ),
    rule(
        "abbreviation",
        "v",
        r"vs?\.\s(?=[A-Z\"'])",
        "versus ",
        lambda match: bool(re.match("[A-Z]", previous_word(match))),
    ),
    rule("abbreviation", "BMD", r"(?P<letters>[BMD]\.\s?Sc)\.?", _degree),
    rule("abbreviation", "P", r"(?P<letters>Ph\.?\s?D)\b\.?(?!')", _degree),
    rule(
        "acronym",
        LETTERS,
        r"(?<![\w.])(?P<letters>LL\.(?:[A-Z]\.)+|[A-Za-z]\.(?:[A-Za-z]\.){1,20}(?:[A-Za-z]\b)?)(?P<ending>'s)?",
        _dotted,
    ),
    rule(
        "abbreviation",
        LETTERS,
        rf"(?<!\.)(?P<word>{tables.alternatives(set(_WORDS))})(?![\w'])\.?(?!\w)",
        _word,
        _is_abbreviation,
    ),
    rule(
        "initial",
        UPPER,
        r"(?<![\w.'])(?<!\b[A-Z] )(?P<letter>[A-HJ-Z]|I(?=\.\s?[A-Z]\.))\.(?=\s?[A-Z])",
        _initial,
        _is_initial,
    ),
    rule(
        "initial",
        "I",
        r"(?<=[a-z] )(?P<letter>I)\.(?=\s[A-Z][a-z])",
        _initial,
        lambda match: previous_word(match)[0].isupper() and not sentence_ends(match.string, match.end()),
    ),
    rule(
        "initial",
        UPPER,
        r"(?<![\w.'])(?P<letter>[A-HJ-Z])\.(?=\s(?P<next>[a-z]{3,}))",
        lambda match, spell: match["letter"],
        lambda match: (
            match["next"] not in tables.words("common_words") and match["next"] not in tables.words("function_words")
        ),
    ),
    rule("reading", "wW", r"w/(?=\s|\w)", lambda match, spell: "with "),
    rule(
        "reading",
        "u",
        r"u(?=\s[a-z@]|[.?!]*\Z)",
        "you",
        lambda match: (
            bool(re.search(r"[a-z]\s\Z", match.string[max(0, match.start() - 2) : match.start()]))
            or bool(re.match(r"\s[a-z]{2,}", match.string[match.end() : match.end() + 4]))
        ),
    ),
    rule("reading", "r", r"r(?=\su\b)|(?<=\bu\s)r\b", "are"),
)
