"""The front end's words: TSV files in `tables/`, one entry a line, which anyone can extend.

A line that starts with "#" and a space is a comment. Knows the layout of the files, not what an entry is for.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

__all__ = ["alternatives", "pairs", "rows", "words"]

_FOLDER = Path(__file__).with_name("tables")


@cache
def rows(name: str) -> tuple[tuple[str, ...], ...]:
    """The fields of every line of `tables/NAME.tsv`."""
    lines = (_FOLDER / f"{name}.tsv").read_text(encoding="utf-8").splitlines()
    return tuple(tuple(line.split("\t")) for line in lines if line.strip() and not line.startswith("# "))


@cache
def pairs(name: str) -> dict[str, str]:
    """First field -> second field."""
    return {row[0]: row[1] for row in rows(name)}


@cache
def words(name: str) -> frozenset[str]:
    """All words of a file that holds words between white space."""
    return frozenset(word for row in rows(name) for field in row for word in field.split())


def alternatives(names: dict[str, str] | frozenset[str] | set[str]) -> str:
    """A regular expression for any of the names, the longest first."""
    return "|".join(re.escape(name) for name in sorted(names, key=lambda name: (-len(name), name)))
