"""Roman numerals: after names of rulers an ordinal, after headings and elsewhere a cardinal, and what is none."""

from __future__ import annotations

import re

from spear_accel.text.english import tables
from spear_accel.text.english.capitals import letters
from spear_accel.text.english.numbers import Speller, roman
from spear_accel.text.english.patterns import LETTERS, UPPER
from spear_accel.text.english.tokens import Match, previous_word, rule

__all__ = ["RULES"]

_NAMES = tables.alternatives({row[0] for row in tables.rows("regnal_names")})
_HEADINGS = tables.alternatives(set(tables.words("headings")))
# A lone "I" after a name is a pronoun ("Peter I know") unless what follows speaks against it.
_REIGN = (
    r"[IVX]{2,}|[VX](?!\.?\s[A-Z])|[VX](?=\.\s(?:He|She|It|The|His|Her|In|When|They|But|And|A)\b)|"
    r"I(?=[,;:]|\.(?!\s[A-Z])|\.\s(?:He|She|It|The|His|Her|In|When|They|But|And|A)\b|\Z|'s\b|\s(?:of|was|had|and|in|who)\b)"
)
# "John Paul Jones III", "Thurston Howell, III": of a family, not of a series ("Final Fantasy VII").
_PERSON = re.compile(rf"(?:\b(?:{_NAMES})(?: [A-Z](?:[a-z]+|\.))? [A-Z][a-z]+,?|\b[A-Z][a-z]+ [A-Z][a-z]+,) \Z")
_DRIP = re.compile(
    r"\s(?:drip|drips|fluids?|lines?|therapy|bag|bags|needle|antibiotics|tube|catheter|push|access|pole|league)\b"
)
_ARTICLE = re.compile(r"(?:an|by|her|his|via|through|their|my|your)\Z")
_SIZES = frozenset(("XL", "XXL", "XXXL", "XX", "IV", "VI", "XI"))


def _regnal(match: Match, spell: Speller) -> str:
    return f"{match['name']} the {spell.ordinal(str(roman(match['roman'])))}"


def _is_roman(match: Match) -> bool:
    return roman(match["roman"].upper()) is not None


def _heading(match: Match, spell: Speller) -> str:
    last = f" to {spell.cardinal(str(roman(match['last'])))}" if match["last"] else ""
    return f"{match['name']} {spell.cardinal(str(roman(match['roman'].upper())))}{last}"


def _is_heading(match: Match) -> bool:
    """ "Part I begins" but "the part I like"; "Mark V. Shaw" is a man."""
    if match["roman"] == "I" and match["name"][0].islower():
        return False
    if match["name"] == "Mark" and re.match(r"\.?\s[A-Z][a-z]", match.string[match.end() : match.end() + 4]):
        return False
    if match["last"] and roman(match["last"]) is None:
        return False
    return _is_roman(match)


def _ordinal(match: Match, spell: Speller) -> str:
    return spell.ordinal(str(roman(match["roman"])))


def _cardinal(match: Match, spell: Speller) -> str:
    value = roman(match["roman"]) or 0
    return spell.year(str(value)) if value >= 1000 else spell.cardinal(str(value))


def _is_numeral(match: Match) -> bool:
    return _is_roman(match) and not _is_letters(match)


def _is_letters(match: Match) -> bool:
    """ "an IV", "an XL": letters and no number."""
    written = match["roman"]
    if written == "XX" and match.string.startswith(" chromosome", match.end()):
        return True
    if written in ("XL", "XXL", "XXXL"):
        return True
    return written in _SIZES and bool(_ARTICLE.match(previous_word(match)) or _DRIP.match(match.string, match.end()))


def _spelled(match: Match, spell: Speller) -> str:
    return letters(match["roman"]) + ("'s" if match["ending"] else "")


def _pages(match: Match, spell: Speller) -> str:
    last = f" to {spell.cardinal(str(roman(match['last'].upper())))}" if match["last"] else ""
    name = {"p.": "page", "pp.": "pages"}.get(match["name"], match["name"])
    return f"{name} {spell.cardinal(str(roman(match['roman'].upper())))}{last}"


def _bracketed(match: Match, spell: Speller) -> str:
    return f", {spell.cardinal(str(roman(match['roman'].upper())))},"


RULES = (
    rule(
        "Roman numeral",
        "p",
        r"(?P<name>pp?\.|pages?)\s(?P<roman>[ivxl]{2,8}|[vx])(?:\s?[-–]\s?(?P<last>[ivxl]{1,8}))?(?!\w)",
        _pages,
        lambda match: _is_roman(match) and (match["last"] is None or roman(match["last"].upper()) is not None),
    ),
    rule("Roman numeral", UPPER, r"(?P<roman>[IVXLC]+)(?:st|nd|rd|th)\b", _ordinal, _is_roman),
    rule(
        "Roman numeral",
        LETTERS,
        rf"(?P<name>(?i:{_HEADINGS})s?)\.?\s(?P<roman>[IVX]|[IVXLC]{{2,}}|[ivx]{{2,}})\b(?!'[a-z])"
        r"(?:\s?[-–]\s?(?P<last>[IVXLC]+)\b)?",
        _heading,
        _is_heading,
    ),
    rule("Roman numeral", UPPER, rf"(?P<name>{_NAMES})\s(?P<roman>{_REIGN})\b", _regnal, _is_roman),
    rule(
        "Roman numeral",
        "IV",
        r"(?P<roman>II|III|IV|V)(?![\w'-])",
        lambda match, spell: f"the {_ordinal(match, spell)}",
        lambda match: bool(_PERSON.search(match.string, max(0, match.start() - 48), match.start())),
    ),
    rule("acronym", UPPER, r"(?P<roman>IV|VI|XI|XX|XL|XXL|XXXL)(?P<ending>s)?\b", _spelled, _is_letters),
    rule(
        "Roman numeral",
        UPPER,
        r"(?P<roman>[IVX]{2,}|(?=[LC]*X)[IVXLC]{3,}|M[MDCLXVI]{3,})\b(?!'[a-z]|\w)",
        _cardinal,
        _is_numeral,
    ),
    rule("Roman numeral", "(", r"\((?P<roman>[ivx]{2,5})\)", _bracketed, _is_roman),
)
