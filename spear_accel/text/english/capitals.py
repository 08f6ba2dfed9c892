"""Words in capitals: acronyms that are spelled, acronyms that are words, and words in capitals for force.

Knows nothing of dots: "U.S." is an abbreviation.
"""

from __future__ import annotations

import re

from spear_accel.text.english import tables
from spear_accel.text.english.numbers import Speller
from spear_accel.text.english.patterns import LETTERS, UPPER
from spear_accel.text.english.tokens import Match, rule

__all__ = ["RULES", "letters", "spoken_capitals"]

_ACRONYMS = tables.pairs("acronyms")
_LITTLE = frozenset(("IT", "US"))
_SPELLED = frozenset(("ADD", "ERA", "DOT", "ARE", "ACE", "AIM", "LAX", "GIN", "LED", "LET"))
_ONSET = "(?:[BCDFGHJKLMNPRSTVWXYZ]|QU|[BCFGPS]L|[BCDFGPT]R|[CGPSTW]H|S[CKMNPTW]|TW|DW|KN|WR|SC[HR]|S[PT]R|SPL|SHR|THR)"
_CODA = ("(?:[BCDFGHKLMNPRSTVWXZ]|[CGPST]H|[BDFGLMNPRSTZ]{2}|CK|[LNRS][CDFKLMNPT]|HN|[LNR]?[CST]H|NG|NK|MP|[CFPX]T|"
         "[BDFKLMNPRT]S|LK|LM|RM|RN|RL|RK|SM|TZ|NCE|NTS|RTS|NDS|GHT|TCH)")  # fmt: skip
_SAYABLE = re.compile(
    rf"{_ONSET}?(?:[AEIOUY]{{1,2}}(?:{_ONSET}|[BDFGLMNPRSTZ]{{2}}|[LMNRS]{_ONSET}))*[AEIOUY]{{1,2}}{_CODA}?\Z"
)
_LONGEST_ACRONYM = 5
_VOWEL = re.compile("[AEIOUY]")
_CAPITALS = re.compile(r"[A-Z][A-Z']*[A-Z]")
_SHOUTED = re.compile(
    # Only where a run of capitals begins, so that a long one is looked through once.
    r"(?<![A-Z] )(?<![A-Z], )(?<![A-Z][.!?] )(?:[A-Z][A-Z']{1,30}|[AI])"
    r"(?:(?: |, |[!?.]+ | - )(?:[A-Z][A-Z']{1,30}|[AI])(?![a-z'0-9]))+(?![a-z0-9])"
)
_HUMPS = re.compile(r"[A-Z]{2,}(?=[A-Z][a-z])|[A-Z][a-z]+|[A-Z]+|[a-z]+|'[a-z]+")


def letters(text: str) -> str:
    """Spelled out: "FBI" -> "F B I"."""
    return " ".join(character for character in text.upper() if character.isalpha())


def _is_word(word: str) -> bool:
    """Whether a word in capitals looks like an everyday word or can only be one."""
    plain = word.replace("'", "").lower()
    known = tables.words("common_words")
    if word.lower() in known or plain in known or "'" in word:
        return True
    if any(
        plain.endswith(ending) and plain.removesuffix(ending) in known for ending in ("s", "es", "ed", "d", "er", "ly")
    ):
        return True
    return len(word) > _LONGEST_ACRONYM and bool(_VOWEL.search(word))


def _may_be_word(word: str) -> bool:
    """Whether a word in a line of capitals can be said as one ("SMITH"), and is no acronym that everybody knows."""
    return _is_word(word) or (len(word) >= 4 and bool(_SAYABLE.match(word)))


def spoken_capitals(word: str, alone: bool) -> str:
    """How a word in capitals is read.

    Args:
        word: Two capitals or more.
        alone: Whether it stands among words in small letters; in a line of capitals everyday words are words.
    """
    if word in tables.words("forceful_words") or (
        (not alone and (_may_be_word(word) or word in _LITTLE)) and word not in _ACRONYMS
    ):
        return word.lower()
    if (spoken := _ACRONYMS.get(word)) is not None:
        return spoken
    pronounceable = bool(_VOWEL.search(word))
    if len(word) > _LONGEST_ACRONYM and pronounceable:
        return word.capitalize()
    if alone and len(word) >= 3 and word.lower() in tables.words("common_words") and word not in _SPELLED:
        return word.lower()
    return letters(word)


def _acronym(match: Match, spell: Speller) -> str:
    spoken = spoken_capitals(match["word"], alone=not _speaks(match))
    ending = match["ending"] or ""
    if not ending:
        return spoken
    return spoken + ("'s" if " " in spoken or "'" in ending else ending)


def _speaks(match: Match) -> bool:
    """Whether it names who speaks, as in a play: "ROMEO: ..."."""
    text, start = match.string, match.start()
    return text[match.end() : match.end() + 2] == ": " and text[max(0, start - 2) : start].rstrip(" ")[-1:] in (
        "",
        "\n",
        ".",
        "!",
        "?",
    )


def _shouted(match: Match, spell: Speller) -> str:
    """A line of capitals: words in small letters, acronyms still spelled."""
    return re.sub(r"[A-Z][A-Z']*", lambda word: _shouted_word(word.group()), match.group())


def _shouted_word(word: str) -> str:
    if len(word) == 1:
        return word if word == "I" else word.lower()
    return spoken_capitals(word, alone=False)


def _is_shouted(match: Match) -> bool:
    """At least two words that cannot be acronyms, and these are most."""
    found = [word for word in _CAPITALS.findall(match.group()) if len(word) > 1]
    sure = sum(_may_be_word(word) or word in _LITTLE for word in found)
    return len(found) >= 2 and sure >= 2 and 2 * sure > len(found)


def _joined(match: Match, spell: Speller) -> str:
    return f"{letters(match['letters'])} and {letters(match['more'])}"


def _apostrophe_word(match: Match, spell: Speller) -> str:
    return match.group().lower()


def _humps(match: Match, spell: Speller) -> str:
    """ "HelloWorld" and "camelCase" said as their words."""
    return " ".join(
        spoken_capitals(part, alone=True) if part.isupper() and len(part) > 1 else part
        for part in _HUMPS.findall(match.group())
    )


def _is_joined_words(match: Match) -> bool:
    """No name such as "McDonald" or "DeVito": the parts are words of their own."""
    return not re.match(r"(?:Mc|Mac|De|Di|Du|La|Le|Fitz|Van|O|Da|El|St)[A-Z]", match.group())


def _prefixed(match: Match, spell: Speller) -> str:
    return f"{match['small']} {letters(match['word'])}" + ("'s" if match["ending"] else "")


RULES = (
    rule("acronym", UPPER, r"(?P<letters>[A-Z]{1,3})&(?P<more>[A-Z]{1,3})\b", _joined),
    rule("capitals", UPPER, _SHOUTED.pattern, _shouted, _is_shouted),
    rule(
        "capitals",
        UPPER,
        r"[A-Z]{1,20}'(?:T|RE|VE|LL|S|M|D)\b(?![a-z])",
        _apostrophe_word,
        lambda match: match.group()[-2:] != "'S" or len(match.group()) > 7,
    ),
    rule("capitals", UPPER, r"[A-Z]{1,3}'[A-Z]{3,20}(?![A-Za-z])", lambda match, spell: match.group().title()),
    rule(
        "acronym",
        "W",
        r"(?P<word>WHO)(?P<ending>)(?!\w)",
        lambda match, spell: "W H O",
        lambda match: match.string[max(0, match.start() - 4) : match.start()].lower() == "the ",
    ),
    rule("acronym", UPPER, r"(?P<word>[A-Z]{2,60})(?P<ending>'?s)?(?![A-Za-z])", _acronym),
    rule(
        "joined words",
        LETTERS,
        r"(?:[A-Z][a-z]{1,20}|[a-z]{2,20})(?:[A-Z][a-z]{1,20}|[A-Z]{2,6}(?![a-z])){1,6}(?![A-Za-z])",
        _humps,
        _is_joined_words,
    ),
    rule(
        "joined words",
        "ei",
        r"(?P<small>[ei])(?P<word>[A-Z][a-z]{2,20})(?![A-Za-z])",
        lambda match, spell: f"{match['small'].upper()} {match['word'].lower()}",
    ),
    rule("acronym", LETTERS, r"(?P<small>[a-z]{1,2})(?P<word>[A-Z]{2,5})(?P<ending>s)?(?![A-Za-z])", _prefixed),
)
