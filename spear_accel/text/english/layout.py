"""Lines of a paragraph -> one line: which line ends are mere spaces and which end a sentence, words cut by a hyphen at
a line's end, and the numbers and bullets of lists."""

from __future__ import annotations

import re
from itertools import pairwise

from spear_accel.text.english import tables
from spear_accel.text.english.numbers import roman
from spear_accel.text.english.source import Edit, Source

__all__ = ["lay_out"]

# Nobody wraps lines at fewer characters than this, so a shorter line was meant to end.
_NARROWEST = 40
_LINE = re.compile(r"[^\n]+")
_FIRST_WORD = re.compile(r"\s*(\S+)")
_LAST_WORD = re.compile(r"([A-Za-z']+)\s*\Z")
_BULLET = re.compile(r"\s*[-*+–•]\s+(?=\S)")
_NUMBER = re.compile(r"\s*(?:\((?P<bracketed>\d{1,3}|[a-z]|[ivx]{1,4})\)|(?P<marked>\d{1,3}|[A-Za-z]|[ivx]{1,4})\)|"
                     r"(?P<dotted>\d{1,2}|[A-Za-z]|[ivx]{1,4}|[IVX]{2,5}))(?P<mark>\.?)"
                     r"(?:[ \t]+(?=[^\s\d]|\d[\d/,.]*\s?[A-Za-z]))")  # fmt: skip
_MARKED = re.compile(r"[.?!:;,\"')—–-]\s*\Z")
_ADDRESS_END = re.compile(r"\b(?:St|Ave|Rd|Dr|Blvd|Ln|Ct|Pl|Sq|Inc|Ltd|Co|Corp|Jr|Sr)\.\s*\Z")
_HYPHENATED = re.compile(r"([A-Za-z]+)-\s*\Z")
_SPACES = re.compile(r" {2,}|[ \t]*\t[ \t]*")
_FIRST_LETTER = re.compile(r"\s*(?:A|I)\.\s")
_KEEPS_HYPHEN = frozenset(
    "twenty thirty forty fifty sixty seventy eighty ninety self ex half non all anti semi".split()
)
_STARTS_CLAUSE = frozenset("that which who and or but in on of with to for as from by at into".split())


def lay_out(source: Source, line_ends: bool) -> Source:
    """One line, in which a line end stands only where a sentence or an item ends.

    Args:
        source: A paragraph, folded and without mark-up.
        line_ends: Whether a line that ends early ends a sentence; a blank line always does.
    """
    text = source.text
    if "\n" not in text and not _item(text):
        return source.sub(_SPACES, " ") if "  " in text or "\t" in text else source
    lines = [match.span() for match in _LINE.finditer(text) if match.group().strip()]
    if not lines:
        return source.edited([(0, len(text), "")]) if text else source
    width = max(end - start for start, end in lines)
    lettered = bool(_FIRST_LETTER.match(text, lines[0][0])) and len(lines) > 1
    follows = any(_item(text[start:end]) for start, end in lines[1:3])
    edits = _item_edits(text, *lines[0], letters="aA" if lettered else "a" if follows else "")
    for (start, end), (next_start, next_end) in pairwise(lines):
        items = _item_edits(text, next_start, next_end, letters="aA" if lettered else "a")
        edits += _gap_edits(text, (start, end), (next_start, next_end), items, width, line_ends)
    if lines[-1][1] < len(text):
        edits.append((lines[-1][1], len(text), ""))
    source = source.edited(edits)
    return source.sub(_SPACES, " ") if "  " in source.text else source


def _gap_edits(
    text: str, line: tuple[int, int], following: tuple[int, int], items: list[Edit], width: int, line_ends: bool
) -> list[Edit]:
    """What stands between two lines."""
    before, after = text[line[0] : line[1]], text[following[0] : following[1]]
    blank = text.count("\n", line[1], following[0]) > 1
    if not blank and (cut := _HYPHENATED.search(before)) and after.lstrip()[:1].isalpha():
        start = line[0] + cut.start() + len(cut[1])
        next_word = re.match(r"[a-z]*", after.lstrip())
        whole = _are_two_words(cut[1], next_word.group() if next_word else "")
        return [(start + whole, following[0] + len(after) - len(after.lstrip()), "")]
    gap_end = items[0][0] if items else following[0]
    soft = _line_end(before, after, width) if line_ends else " "
    joint = "\n" if blank or items else soft
    return [(line[1], gap_end, joint), *items]


def _line_end(before: str, after: str, width: int) -> str:
    """Whether a line end is a mere space, a pause, or an end."""
    first, last = _FIRST_WORD.match(after), _LAST_WORD.search(before)
    word = first[1] if first else ""
    if word[:1].isupper() and len(before.strip()) < _NARROWEST and _ADDRESS_END.search(before):
        return "\n"
    if _MARKED.search(before) or word[:1].islower() or (last and last[1].lower() in tables.words("function_words")):
        return " "
    if len(before.strip()) >= _NARROWEST and len(before) + 1 + len(word) > width:
        return " "
    return ", " if word.lower() in _STARTS_CLAUSE else "\n"


def _item(line: str) -> re.Match[str] | None:
    found = _BULLET.match(line)
    if found:
        return found
    found = _NUMBER.match(line)
    return found if found and (not found["dotted"] or found["mark"]) else None


def _item_edits(text: str, start: int, end: int, letters: str) -> list[Edit]:
    """The bullet of a list item is dropped, its number read with a pause after it.

    letters: "a" where a small letter with a dot counts an item, "A" where a capital does.
    """
    found = _item(text[start : min(end, start + 60)])
    if not found:
        return []
    if not found.groupdict():
        return [(start, start + found.end(), "")]
    group = next(name for name in ("bracketed", "marked", "dotted") if found[name])
    label = found[group]
    counted = label.isdecimal() or (label.isupper() and len(label) > 1)
    if group == "dotted" and not counted and ("A" if label.isupper() else "a") not in letters:
        return []
    if len(label) > 1 and not label.isdecimal() and (value := roman(label.upper())):
        label = str(value)
    return [(start, start + found.end(), f"{label}, ")]


def _are_two_words(first: str, second: str) -> bool:
    """ "well-" and "known" keep their hyphen, "nega-" and "tive" do not."""
    known = tables.words("common_words")
    return second[:1] == "" or first.lower() in _KEEPS_HYPHEN or (first.lower() in known and second in known)
