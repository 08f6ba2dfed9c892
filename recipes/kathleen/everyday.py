"""Everyday sentences of any number, made by the grammar of `everyday.yaml`.

Transcripts of old books hold few questions, hardly any dialogue, and no short answers; a voice that learned from them
alone reads a shopping list badly. Knows the grammar. Does not know who speaks the sentences.
"""

from __future__ import annotations

import random
import re
from functools import lru_cache
from pathlib import Path

import yaml
from num2words import num2words

__all__ = ["LONGEST", "sentences"]

LONGEST = 140
"""Characters of the longest sentence."""

_GRAMMAR = Path(__file__).with_name("everyday.yaml")
_PLACE = re.compile(r"\{([^{}]+)\}")
_WEIGHTED = re.compile(r'(\d+) \* "(.*)"')


def sentences(count: int, seed: int) -> list[str]:
    """``count`` different sentences; the first ones do not depend on how many follow."""
    chance = random.Random(seed)
    found: dict[str, None] = {}
    while len(found) < count:
        sentence = _capital(_expanded("sentence", chance))
        if len(sentence) <= LONGEST:
            found[sentence] = None
    return list(found)


def _expanded(name: str, chance: random.Random) -> str:
    """One alternative of ``name`` with everything in braces replaced."""
    if name[0].isupper():
        return _capital(_expanded(name[0].lower() + name[1:], chance))
    kind, *limits = name.split()
    if kind in ("number", "ordinal"):
        low, high = map(int, limits)
        return str(num2words(chance.randint(low, high), ordinal=kind == "ordinal"))
    return _PLACE.sub(lambda place: _expanded(place[1], chance), chance.choice(_grammar()[name]))


def _capital(text: str) -> str:
    """``text`` with its first letter in upper case; a quotation mark may stand before it."""
    start = 1 if text.startswith('"') else 0
    return text[:start] + text[start : start + 1].upper() + text[start + 1 :]


@lru_cache(maxsize=1)
def _grammar() -> dict[str, list[str]]:
    """Alternatives by name, each as often as its weight."""
    given: dict[str, list[str]] = yaml.safe_load(_GRAMMAR.read_text(encoding="utf-8"))
    return {name: [text for line in lines for text in _weighted(line)] for name, lines in given.items()}


def _weighted(line: str) -> list[str]:
    found = _WEIGHTED.fullmatch(line)
    return [line] if found is None else [found[2]] * int(found[1])
