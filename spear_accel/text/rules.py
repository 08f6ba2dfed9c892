"""What the reading rules share: a rule is a pattern and the words for a match. Knows no rule itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

Rule = tuple[re.Pattern[str], Callable[[re.Match[str]], str]]

# A number with thousands commas or a fraction; START keeps a rule from entering in the middle of one.
NUMBER = r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?"
START = r"(?<![\w.,/])"
# A minus sign, not a hyphen: nothing readable stands before it.
SIGN = r"(?:(?<![\w.,)])[-\u2013]\s?)?"

_SENTENCE_STARTERS = (
    "A|After|All|Although|An|And|As|At|Because|Before|But|By|Did|Do|Does|During|Each|Even|Every|For|From|Had|Has|"
    "Have|He|Her|Here|His|How|However|If|In|Is|It|Its|Let|Many|Most|My|No|Nobody|None|Not|Nothing|Now|On|Once|One|"
    "Only|Or|Our|Perhaps|She|Since|So|Some|Such|That|The|Their|Then|There|These|They|This|Those|Though|Thus|To|Two|"
    "Under|Until|Was|We|Were|What|When|Where|Which|While|Who|Why|With|Yes|Yet|You|Your"
)
_SENTENCE_ENDS = re.compile(rf"[\"')\]]*\s*(?:\Z|\s[\"'(\[]*(?:I|{_SENTENCE_STARTERS})(?:[\s,']|\Z))")


def sentence_ends(text: str, position: int) -> bool:
    """Whether a dot before `position` that belongs to an abbreviation also ends a sentence."""
    return bool(_SENTENCE_ENDS.match(text, position))


def full_stop(match: re.Match[str]) -> str:
    """The dot that an expanded abbreviation leaves behind: "." at a sentence's end, else nothing."""
    return "." if match.group().endswith(".") and sentence_ends(match.string, match.end()) else ""


def apply(rules: Iterable[Rule], text: str) -> str:
    """Run every rule once over the whole text, in order."""
    for pattern, read in rules:
        text = pattern.sub(read, text)
    return text
