"""Prepared text -> tokens: at each place the first rule that fits, else a plain word, a space or a mark.

One pass from left to right; what a rule says is never read again. Every rule looks a bounded way ahead and behind, so
the work is linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from spear_accel.text.english import (
    abbreviations,
    addresses,
    bare_units,
    capitals,
    codes,
    dates,
    dimensions,
    electronic,
    figures,
    fractions,
    measures,
    money,
    notation,
    powers,
    roman,
    small_letters,
    symbols,
    tables,
    telephone,
    times,
    versions,
    years,
)
from spear_accel.text.english.tokens import Rule, Token

__all__ = ["RULES", "scan"]

RULES: tuple[Rule, ...] = (
    *electronic.RULES,
    *addresses.RULES,
    *dates.RULES,
    *years.RULES,
    *times.RULES,
    *money.RULES,
    *telephone.RULES,
    *bare_units.EARLY_RULES,
    *abbreviations.RULES,
    *notation.RULES,
    *codes.EARLY_RULES,
    *dimensions.RULES,
    *bare_units.RULES,
    *measures.RULES,
    *figures.EARLY_RULES,
    *powers.RULES,
    *versions.RULES,
    *fractions.RULES,
    *figures.RULES,
    *roman.RULES,
    *codes.RULES,
    *years.BARE_YEAR_RULES,
    *figures.CARDINAL_RULES,
    *times.HALF_RULES,
    *small_letters.RULES,
    *capitals.RULES,
    *symbols.RULES,
)


def _by_first() -> dict[str, tuple[Rule, ...]]:
    starts = {character for rule in RULES for character in rule.first}
    return {start: tuple(rule for rule in RULES if start in rule.first) for start in starts}


def _special_words() -> frozenset[str]:
    """Plain-looking words at which a rule may begin; all others need no rule."""
    found = (
        set(dates.MONTHS)
        | {month[:3] for month in dates.MONTHS}
        | {"Sept", "e", "i", "et", "op", "loc", "May", "per", "noon"}
    )
    found |= {"St", "Dr", "Mr", "Mrs", "Ms", "Ph", "P", "xD", "o", "O", "Tt", "v", "V", "a", "A"}
    found |= {"sq", "Sq", "cu", "Cu", "degrees"}
    found |= set(times.BOOKS)
    found |= set("bcdefghijklmnopqrstuvwxyzBCDEFGHJKLMNOPQRSTUVWXYZ")
    for name in (
        "titles",
        "abbreviations",
        "numbered",
        "plain_readings",
        "streets",
        "directions",
        "regnal_names",
        "currencies",
    ):
        found |= {row[0].rstrip(".") for row in tables.rows(name)}
    for name in ("headings", "names_with_marks"):
        words = {word.rstrip("!?") for word in tables.words(name)}
        found |= (
            words
            | {word.lower() for word in words}
            | {f"{word}s" for word in words}
            | {f"{word.lower()}s" for word in words}
        )
    return frozenset(found | {day for row in tables.rows("abbreviations") for day in (row[0],)})


_DISPATCH = _by_first()
_SPECIAL = _special_words()
# A word with the space or hyphen in front, and behind it nothing that could make it part of something else.
_HAS_VOWEL = "(?=[b-df-hj-np-tv-xz]*[aeiouyA-Z])"
_PLAIN = re.compile(
    rf"( |(?<=[A-Za-z])-)?({_HAS_VOWEL}[A-Za-z]?[a-z]+(?:'[a-z]+)?)"
    r"(?=[ ,;!?\n\")\]]|[.:](?:[ \n\")]|\Z)|\Z|-[a-z]|'?[—–])"
)
_WORD = re.compile(r"[A-Za-z]+(?:'[A-Za-z]+)*")
_ELISION = re.compile(r"'(?:tis|twas|twere|twill|em|cause|til|till|bout|round|neath|gainst)\b(?!')", re.IGNORECASE)
_DROPPED_G = re.compile(r"(?:[a-z]{2}in|\bo)\Z", re.IGNORECASE)
_SUFFIX = re.compile(r"(?<=[\w.])'(?:s|d|ll|ve|re|m|S)\b")
_DASH = re.compile(r"-{2,}|[–—]")
_MARKS = frozenset(",.?!;: \n")


def scan(text: str, start: int = 0, stop: int | None = None) -> Iterator[Token]:
    """The tokens of a prepared text, or of those that begin in text[start:stop], in order.

    Kinds beside those of the rules: "word"; "suffix" for the "'s" of what is no plain word; "gap" for spaces and marks;
    "dash", "bracket" and "sign" for what stands between words too. The one space or hyphen in front of a plain word is
    no token of its own.
    """
    position, length = start, len(text) if stop is None else stop
    plain, special = _PLAIN.match, _SPECIAL
    while position < length:
        match = plain(text, position)
        if match and match.group(2) not in special:
            position = match.end()
            yield Token("word", match.start(2), position, None, None)
            continue
        token = _token_at(text, position)
        yield token
        position = token.end


def _token_at(text: str, position: int) -> Token:
    for rule in _DISPATCH.get(text[position], ()):
        match = rule.pattern.match(text, position)
        if match and match.end() > position and (rule.when is None or rule.when(match)):
            return Token(rule.kind, position, match.end(), rule, match)
    return _unruled(text, position)


def _unruled(text: str, position: int) -> Token:
    """A word, an apostrophe that belongs to one, a mark, or a sign that nobody reads."""
    character = text[position]
    if character in _MARKS:
        if character == ":" and text[position - 1 : position].isalpha() and text[position + 1 : position + 2].isalpha():
            return Token("sign", position, position + 1, None, None)
        return Token("gap", position, position + 1, None, None)
    if word := _WORD.match(text, position):
        end = word.end()
        if text[end : end + 1] == "'" and text[end + 1 : end + 2] != "'" and not text[end + 1 : end + 2].isalnum():
            end += bool(_DROPPED_G.search(text, max(0, end - 4), end))
        return Token("word", position, end, None, None)
    if character == "'" and not text[position - 1 : position].isalnum() and (match := _ELISION.match(text, position)):
        return Token("word", position, match.end(), None, None)
    if character == "'" and (suffix := _SUFFIX.match(text, position)):
        return Token("suffix", position, suffix.end(), None, None)
    if dash := _DASH.match(text, position):
        return Token("dash", position, dash.end(), None, None)
    if character == "-":
        spaced = text[position - 1 : position] in (" ", "\n") and text[position + 1 : position + 2] in (" ", "\n")
        return Token("dash" if spaced else "gap", position, position + 1, None, None)
    return Token("bracket" if character in "()[]{}•|" else "sign", position, position + 1, None, None)
