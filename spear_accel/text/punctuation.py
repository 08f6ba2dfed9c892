"""Reads the signs that are left, then tidies punctuation to `, . ? ! ; : -` and the apostrophe.

Knows nothing about figures or abbreviations: those have become words before.
"""

from __future__ import annotations

import re

from spear_accel.text.rules import Rule, apply

# A dash between phrases, while hyphens inside words keep their own sign.
_DASH = "\u2014"
_ELISION = re.compile(r"(?:tis|twas|twere|twill|em|cause|til|till|bout|round|neath|gainst)\b(?!')", re.IGNORECASE)
_DROPPED_G = re.compile(r"(?:[a-z]{2}in|\bo)\Z", re.IGNORECASE)

SIGN_RULES: tuple[Rule, ...] = (
    (re.compile(r"</?[A-Za-z][A-Za-z0-9]{0,20}(?:\s[^<>]{0,100})?/?>"), lambda match: " "),
    (re.compile(r"\b([CF])#"), lambda match: f"{match[1]} sharp"),
    (re.compile(r"\bC\+\+"), lambda match: "C plus plus"),
    (re.compile(r"(?<![&])&(?![&])"), lambda match: " and "),
    (re.compile(r"(?<![+])\+(?![+])"), lambda match: " plus "),
    (re.compile(r"(?<![=<>!])=(?![=>])"), lambda match: " equals "),
    (re.compile(r"(?<=[A-Za-z])@(?=[A-Za-z])|(?<= )@(?= )"), lambda match: " at "),
    (re.compile(r"(?<=[A-Za-z0-9])/(?=[A-Za-z0-9])"), lambda match: " slash "),
    (re.compile(r"(?<!%)%(?!%)"), lambda match: " percent "),
    (re.compile(r"±"), lambda match: " plus or minus "),
    (re.compile(r"(?<= )[×](?= )"), lambda match: " times "),
    (re.compile(r"°"), lambda match: " degrees "),
    (re.compile(r"§+"), lambda match: " section "),
    (re.compile(r"~(?=[A-Za-z])"), lambda match: "about "),
    (re.compile(r"(?<=[A-Za-z]):(?=[A-Za-z])"), lambda match: " "),
)

_SHAPE_RULES: tuple[Rule, ...] = (
    (re.compile(r"(?<!\s)[(\[{]s[)\]}]"), lambda match: "s"),
    (re.compile(r"[()\[\]{}]"), lambda match: ", "),
    (re.compile(r"-{2,}|\u2013|(?<=\s)-(?=\s)"), lambda match: f" {_DASH} "),
    (re.compile(rf"[^A-Za-z0-9 ',.?!;:{_DASH}-]"), lambda match: " "),
    (re.compile(r"'+"), lambda match: "'" if _apostrophe_stays(match) else ""),
    (re.compile(r"(?<![A-Za-z0-9])-+|-+(?![A-Za-z0-9'])"), lambda match: " "),
    (re.compile(rf"\s*[,.?!;:{_DASH}][\s,.?!;:{_DASH}]*"), lambda match: _one_mark(match)),
    (re.compile(r"\s+"), lambda match: " "),
)
_OPENING_MARKS = re.compile(rf"\A[\s,.?!;:{_DASH}-]+")
_CLOSING_DASH = re.compile(r"[\s-]+\Z")


def _apostrophe_stays(match: re.Match[str]) -> bool:
    """Inside words, before elisions ("'tis") and after "in" and "o" ("goin'"); elsewhere it is a quotation mark."""
    text, start, end = match.string, match.start(), match.end()
    if end - start > 1:
        return False
    before, after = text[start - 1 : start], text[end : end + 1]
    if before.isalpha() and after.isalpha():
        return True
    if not before.isalnum() and _ELISION.match(text, end):
        return True
    return not after.isalnum() and bool(_DROPPED_G.search(text[max(0, start - 5) : start]))


def _one_mark(match: re.Match[str]) -> str:
    """One mark for a run of them, and one space after it."""
    run = re.sub(r"\s", "", match.group())
    following = match.string[match.end() : match.end() + 1]
    abbreviation = re.match(r"\.([,;:])", run)
    for mark in "?!":
        if mark in run:
            return f"{mark} "
    if abbreviation:
        return f"{abbreviation[1]} "
    if ".." in run and following.islower():
        return ", "
    return next(f"{mark} " for mark in ".;:," if mark in run) if run.strip(_DASH) else " - "


def tidy(text: str) -> str:
    """Only letters, spaces and `' , . ? ! ; : -` remain; one mark in a place; nothing dangling at the ends."""
    text = apply(_SHAPE_RULES, text)
    return _CLOSING_DASH.sub("", _OPENING_MARKS.sub("", text)).strip()
