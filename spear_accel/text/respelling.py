"""Words that are to be read as if they were spelt otherwise: a list of one's own, in front of any front end.

A file has one entry a line, `word<TAB>respelling`; what stands in front of the tab may be a phrase. Not to be confused
with the lexicon of a voice that reads phonemes (`text/phonemes`), which says how words sound.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from spear_accel.errors import UserError
from spear_accel.text.english.source import Edit, Source
from spear_accel.text.front_end import FrontEnd, Normalised, SpokenWord

__all__ = ["Respellings", "read_mapped", "respelled"]

_WORD = re.compile(r"[^\W_]+(?:['\u2019.-][^\W_]+)*")


@dataclass(frozen=True)
class Respellings:
    """Phrases and what is read instead.

    An entry in small letters holds for any case; one with a capital for words that are written just so, and goes
    before the other. Of phrases that begin alike the longest goes first.
    """

    entries: tuple[tuple[str, str], ...]
    _phrases: dict[str, list[tuple[tuple[str, ...], str]]] = field(init=False, repr=False, compare=False)
    """By the first word in small letters: the words of each phrase, longest first."""

    def __post_init__(self) -> None:
        phrases: dict[str, list[tuple[tuple[str, ...], str]]] = {}
        for phrase, respelling in self.entries:
            words = tuple(_WORD.findall(phrase))
            if not words or "".join(words) != re.sub(r"\s+", "", phrase):
                raise UserError(f"respelling of {phrase[:60]!r}: it is no word and no phrase of words")
            phrases.setdefault(words[0].lower(), []).append((words, respelling))
        for found in phrases.values():
            found.sort(key=lambda entry: (-len(entry[0]), " ".join(entry[0]).islower()))
        object.__setattr__(self, "_phrases", phrases)

    @classmethod
    def load(cls, path: str | Path) -> Respellings:
        """Read a file; lines that are blank or begin with "# " do not count.

        Raises:
            UserError: The file cannot be read, or a line of it is no entry; the error names the line.
        """
        try:
            lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
        except OSError as error:
            raise UserError(f"{path}: cannot read ({error.strerror})") from error
        except UnicodeDecodeError as error:
            raise UserError(f"{path}: not UTF-8 text (byte {error.start + 1}); convert it with iconv") from error
        entries = []
        for number, line in enumerate(lines, 1):
            if not line.strip() or line.startswith("# "):
                continue
            phrase, tab, respelling = line.partition("\t")
            if not (tab and phrase.strip() and respelling.strip()) or "\t" in respelling:
                raise UserError(f"{path}, line {number}: give a word, a tab and how it is read, as: Nguyen<TAB>win")
            entries.append((phrase.strip(), respelling.strip()))
            try:
                cls((entries[-1],))
            except UserError as error:
                raise UserError(f"{path}, line {number}: {error}") from error
        return cls(tuple(entries))

    def edits(self, text: str) -> Iterator[Edit]:
        """Where a phrase stands and what is read instead, in order."""
        words = list(_WORD.finditer(text))
        at = 0
        while at < len(words):
            found = self._longest(text, words, at)
            if found is None:
                at += 1
                continue
            count, respelling = found
            yield words[at].start(), words[at + count - 1].end(), respelling
            at += count

    def _longest(self, text: str, words: list[re.Match[str]], at: int) -> tuple[int, str] | None:
        for phrase, respelling in self._phrases.get(words[at].group().lower(), ()):
            here = words[at : at + len(phrase)]
            written = [word.group() for word in here]
            between = [text[first.end() : second.start()] for first, second in pairwise(here)]
            same = tuple(written) == phrase or ("".join(phrase).islower() and [w.lower() for w in written] == [*phrase])
            if same and all(gap.isspace() for gap in between):
                return len(phrase), respelling
        return None


def respelled(read: FrontEnd, respellings: Respellings) -> FrontEnd:
    """A front end that reads what the respellings say; spoken words keep the places of what is written."""

    def read_respelled(text: str) -> Normalised:
        return read_mapped(read, Source.of(text).edited(respellings.edits(text)))

    return read_respelled


def read_mapped(read: FrontEnd, source: Source) -> Normalised:
    """What a front end makes of a text under preparation, with the places of words in the text as the user gave it."""
    spoken = read(source.text)
    return Normalised(spoken.text, spoken.warnings, tuple(_placed(spoken.words, source)))


def _placed(words: Iterable[SpokenWord], source: Source) -> Iterator[SpokenWord]:
    for word in words:
        start, end = source.span(word.start, max(word.end, word.start + 1))
        yield word._replace(start=start, end=end)
