"""What a token is, what a rule is, and how a rule looks at the text around a match.

Knows no class of token itself. A rule classifies by its pattern and by `when`; `say` gives the words.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from spear_accel.text.english.numbers import Speller

__all__ = ["Match", "Pattern", "Rule", "Token", "full_stop", "previous_word", "rule", "sentence_ends", "starts_name"]

Match = re.Match[str]

_SENTENCE_STARTERS = (
    "A|After|All|Although|An|And|As|At|Because|Before|But|By|Did|Do|Does|During|Each|Even|Every|For|From|Had|Has|"
    "Have|He|Her|Here|His|How|However|If|In|Is|It|Its|Let|Many|Most|My|No|Nobody|None|Not|Nothing|Now|On|Once|One|"
    "Only|Or|Our|Perhaps|She|Since|So|Some|Such|That|The|Their|Then|There|These|They|This|Those|Though|Thus|To|Two|"
    "Under|Until|Was|We|Were|What|When|Where|Which|While|Who|Why|With|Yes|Yet|You|Your"
)
_SENTENCE_ENDS = re.compile(
    rf"[\"')\]]*\s*(?:\Z|\n|\s[\"'(\[]*(?:I|{_SENTENCE_STARTERS})(?:[\s,']|\Z))|(?!A\b)(?:{_SENTENCE_STARTERS})\s"
)
_NAME_NEXT = re.compile(r"\s[\"'(\[]*[A-Z]")
_WORD_BEFORE = re.compile(r"([A-Za-z][A-Za-z'.]*|\d[\d,.]*)[,;:]?[\s\"'(]*\Z")


class Pattern:
    """A regular expression that is compiled when it is first matched: a text needs few of the rules."""

    __slots__ = ("flags", "match", "source")

    match: Callable[[str, int], Match | None]
    """The match that begins at a position of a text, or None."""

    def __init__(self, source: str, flags: int = 0) -> None:
        self.source, self.flags = source, flags
        self.match = self._first_match

    def _first_match(self, text: str, position: int) -> Match | None:
        self.match = re.compile(self.source, self.flags).match
        return self.match(text, position)


class Rule(NamedTuple):
    """A way to read one class of token."""

    kind: str
    first: str
    """The characters that a match can begin with."""
    pattern: Pattern
    say: Callable[[Match, Speller], str]
    """The words, with marks such as a comma between them."""
    when: Callable[[Match], bool] | None = None
    """Whether the text around the match bears the class out; None: always."""


class Token(NamedTuple):
    """A stretch of the prepared text and its class. `rule` is None for plain words, marks and spaces."""

    kind: str
    start: int
    end: int
    rule: Rule | None
    match: Match | None


def rule(
    kind: str,
    first: str,
    pattern: str,
    say: Callable[[Match, Speller], str] | str,
    when: Callable[[Match], bool] | None = None,
    flags: int = 0,
) -> Rule:
    """A rule; `say` may be fixed words."""
    if isinstance(say, str):
        words = say
        return Rule(kind, first, Pattern(pattern, flags), lambda match, spell: words, when)
    return Rule(kind, first, Pattern(pattern, flags), say, when)


def sentence_ends(text: str, position: int) -> bool:
    """Whether a dot before `position` that belongs to an abbreviation also ends a sentence."""
    return bool(_SENTENCE_ENDS.match(text, position))


def full_stop(match: Match) -> str:
    """The dot that an expanded abbreviation leaves behind: "." at a sentence's end, else nothing."""
    return "." if match.group().endswith(".") and sentence_ends(match.string, match.end()) else ""


def starts_name(text: str, position: int) -> bool:
    """Whether a word with a capital follows after a space."""
    return bool(_NAME_NEXT.match(text, position))


def previous_word(match: Match, reach: int = 24) -> str:
    """The word or figure in front of a match, or ""."""
    found = _WORD_BEFORE.search(match.string, max(0, match.start() - reach), match.start())
    return found.group(1) if found else ""
