"""A pronouncing lexicon: words and how they are said, with other readings by use.

A file holds a word a line, gzipped UTF-8: ``word TAB phonemes``, and for words that are said in several ways further
columns ``USE=phonemes`` (``use TAB jˈuz TAB NOUN=jˈus``). A phoneme is one character; ˈ and ˌ stand before the vowel
of a stressed syllable. Knows words. Does not know sentences, nor what to do with a word that it lacks.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from spear_accel.errors import UserError
from spear_accel.storage import files

__all__ = ["USES", "Entry", "Lexicon"]

USES = ("NOUN", "VERB", "PAST")
"""Uses that may have a reading of their own; adjectives go with nouns."""


@dataclass(frozen=True)
class Entry:
    """How a word is said."""

    phonemes: str
    """One character a phoneme."""
    uses: Mapping[str, str] = field(default_factory=dict)
    """Other readings by use (`USES`)."""

    def reading(self, use: str | None = None) -> str:
        """The phonemes for a use; the usual ones where it has none of its own."""
        return self.phonemes if use is None else self.uses.get(use, self.phonemes)


class Lexicon:
    """Words to entries; a word is looked up as it is written, then in lower case, then with a capital."""

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self._entries = dict(entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[tuple[str, Entry]]:
        return iter(self._entries.items())

    def get(self, word: str) -> Entry | None:
        """The entry of a word, None where there is none."""
        for form in (word, word.lower(), word.capitalize()):
            if (entry := self._entries.get(form)) is not None:
                return entry
        return None

    def with_entries(self, entries: Mapping[str, Entry]) -> Lexicon:
        """A lexicon in which `entries` go before those of the same words: a user's own pronunciations."""
        return Lexicon({**self._entries, **entries})

    @property
    def symbols(self) -> str:
        """Every phoneme and stress mark of the lexicon, sorted."""
        return "".join(sorted({symbol for _, entry in self for symbol in _all(entry)}))

    @classmethod
    def load(cls, path: str | Path) -> Lexicon:
        """Read a lexicon's file.

        Raises:
            UserError: The file is missing or damaged, or a line is no entry.
        """
        try:
            text = gzip.decompress(Path(path).read_bytes()).decode("utf-8")
        except (OSError, EOFError, UnicodeDecodeError) as error:
            raise UserError(f"{path}: cannot read the lexicon ({error}); restore the file") from error
        return cls(dict(_entry(line, f"{path}, line {number}") for number, line in _numbered(text.splitlines())))

    def save(self, path: str | Path) -> None:
        """Write the file; the same entries give the same bytes."""
        lines = (f"{word}\t{_line(entry)}\n" for word, entry in sorted(self._entries.items()))
        files.write_bytes(path, gzip.compress("".join(lines).encode("utf-8"), mtime=0))


def _numbered(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    return ((number, line) for number, line in enumerate(lines, start=1) if line.strip())


def _entry(line: str, place: str) -> tuple[str, Entry]:
    word, _, columns = line.partition("\t")
    phonemes, *others = columns.split("\t")
    uses = dict(column.split("=", 1) for column in others if "=" in column)
    if not word or not phonemes or len(uses) != len(others) or not set(uses) <= set(USES):
        raise UserError(f"{place}: not a lexicon entry; write: word TAB phonemes TAB USE=phonemes, USE of {USES}")
    return word, Entry(phonemes, uses)


def _line(entry: Entry) -> str:
    return "\t".join([entry.phonemes, *(f"{use}={phonemes}" for use, phonemes in sorted(entry.uses.items()))])


def _all(entry: Entry) -> str:
    return entry.phonemes + "".join(entry.uses.values())
