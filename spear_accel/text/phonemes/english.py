"""From English words in a sentence to phonemes: which reading of a word is meant, and words made of other words.

Follows short rules on the word before (``to use`` is a verb, ``the use`` a noun), on the sound that follows (``the``
before a vowel) and on endings ('s). Does not know ids or files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from spear_accel.text.phonemes.lexicon import Lexicon

__all__ = ["MARKS", "VOWELS", "Said", "pronounce", "pronounce_word"]

MARKS = ",.?!;:"
"""Marks that are kept; they say where voice rises, falls and rests."""
VOWELS = frozenset("aeiouAIOWYæɑɐəɛɜɪɔʊʌᵊᵻ")

_STRESS = re.compile("[ˈˌ]")
_PART = re.compile(rf"[^\W\d_]+(?:'[^\W\d_]+)*'?|[{re.escape(MARKS)}]")
_VOICELESS, _SIBILANT = frozenset("ptkfθ"), frozenset("szʃʒʧʤ")
_BEFORE_VERB = frozenset(
    "to will would can could should may might must shall do does did don't didn't doesn't won't can't couldn't "
    "wouldn't shouldn't i you we they who please let's not never".split()
)
_BEFORE_PAST = frozenset(
    "had has have having was were is are be been being he she it i've you've we've they've".split()
)
_BEFORE_NOUN = frozenset(
    "a an the this that these those my your his her its our their no some any every each of in on for with by from at "
    "another such what which whose good new old great little long first last".split()
)
_BEFORE_VOWEL = {"the": "ði", "to": "tʊ", "a": "ɐ", "an": "ɐn"}
_BEFORE_CONSONANT = {"the": "ðə", "to": "tə", "a": "ɐ", "an": "ɐn"}


class Said(NamedTuple):
    """A word or mark, and how it is said."""

    phonemes: str
    """With a space in front where a word stands behind another."""
    span: tuple[int, int]
    """Where it stands in the text."""


def pronounce(text: str, lexicon: Lexicon, guess: Callable[[str], str]) -> list[Said]:
    """The phonemes of a text as it is read aloud: words apart by spaces, marks behind the word that they follow.

    Args:
        text: Words without figures or abbreviations.
        lexicon: The words that are known.
        guess: Says a word that is not.
    """
    found = list(_PART.finditer(text.replace("-", " ")))
    parts = [match[0] for match in found]
    sounds = [
        part if part in MARKS else _in_sentence(part, parts[place - 1].lower() if place else "", lexicon, guess)
        for place, part in enumerate(parts)
    ]
    said: list[Said] = []
    for match, part, sound, following in zip(found, parts, sounds, [*sounds, ""][1:], strict=True):
        apart = " " if said and part not in MARKS else ""
        said.append(Said(apart + _weak(part, sound, following), match.span()))
    return said


def pronounce_word(word: str, lexicon: Lexicon, guess: Callable[[str], str], use: str | None = None) -> str:
    """The phonemes of one word: of the lexicon, of its stem with an ending, or guessed."""
    if (said := _known(word, lexicon, use)) is not None:
        return said
    letters = [lexicon.get(letter) for letter in word] if word.isupper() and len(word) > 1 else [None]
    if all(letters):
        return "".join(letter.reading() for letter in letters if letter)
    return guess(word)


def _known(word: str, lexicon: Lexicon, use: str | None) -> str | None:
    """What the lexicon says of a word, or of its stem."""
    if (entry := lexicon.get(word)) is not None:
        return entry.reading(use)
    for stem, ending in _endings(word):
        if (said := _known(stem, lexicon, use)) is not None:
            return said + _ending_sound(ending, said)
    return None


def _in_sentence(word: str, before: str, lexicon: Lexicon, guess: Callable[[str], str]) -> str:
    return pronounce_word(word, lexicon, guess, _use(before))


def _use(before: str) -> str | None:
    """How a word is used, by the word before it."""
    if before in _BEFORE_PAST:
        return "PAST"
    if before in _BEFORE_VERB:
        return "VERB"
    return "NOUN" if before in _BEFORE_NOUN else None


def _weak(word: str, sound: str, following: str) -> str:
    """Articles and "to" as they sound before what follows; at the end of a phrase, and in capitals, they are whole."""
    first = _STRESS.sub("", following)[:1]
    if word == "A" and first in MARKS:
        return sound
    if not first or first in MARKS:
        return sound
    return (_BEFORE_VOWEL if first in VOWELS else _BEFORE_CONSONANT).get(word.lower(), sound)


def _endings(word: str) -> Iterator[tuple[str, str]]:
    if word.endswith("'s"):
        yield word[:-2], "s"
    if word.endswith("s'"):
        yield word[:-1], ""
    if word.endswith("'"):
        yield word[:-1], ""
    if word.endswith("s") and len(word) > 3:
        yield word[:-1], "s"
    if word.endswith("ed") and len(word) > 4:
        yield word[:-2], "ed"
        yield word[:-1], "ed"
    if word.endswith("ing") and len(word) > 5:
        yield word[:-3], "ing"
        yield f"{word[:-3]}e", "ing"


def _ending_sound(ending: str, stem: str) -> str:
    last = stem[-1:]
    if ending == "s":
        return "ᵻz" if last in _SIBILANT else "s" if last in _VOICELESS else "z"
    if ending == "ed":
        return "ᵻd" if last in ("t", "d", "ɾ") else "t" if last in _VOICELESS | {"s", "ʃ", "ʧ"} else "d"
    return "ɪŋ" if ending == "ing" else ""
