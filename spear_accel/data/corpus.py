"""Corpora in LJSpeech layout: `wavs/ID.*` beside `metadata.csv` with `id|raw|normalised` a line and no header.

Knows folders and texts. Does not read the audio.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from spear_accel.errors import UserError

__all__ = ["Corpus", "CorpusEntry", "prompt_of", "read_corpus", "scan_corpus"]

_PREFERRED = (".wav", ".flac", ".opus", ".ogg", ".mp3")
"""Which file of an id is taken if it has several; other suffixes come after these, by name."""


@dataclass(frozen=True)
class CorpusEntry:
    """One recording and the words that are said in it."""

    id: str
    audio: Path
    text: str


@dataclass(frozen=True)
class Corpus:
    """What can be used of a corpus folder, and what cannot."""

    entries: tuple[CorpusEntry, ...]
    """In the order of `metadata.csv`."""
    faults: tuple[str, ...]
    """One line for each line of `metadata.csv` and each recording that is left out; names it and says why."""


def scan_corpus(folder: Path | str) -> Corpus:
    """Read the table of a corpus and leave out what is incomplete.

    The text of a line is its last column that is not empty: the normalised text, or the raw one.

    Raises:
        UserError: There is no `metadata.csv`, it is not UTF-8, or no line of it can be used.
    """
    folder = Path(folder)
    table = folder / "metadata.csv"
    audio = _recordings(folder / "wavs")
    entries: dict[str, CorpusEntry] = {}
    faults, named = [], set()
    for number, line in enumerate(_lines(table), start=1):
        if not line.strip():
            continue
        name, *texts = (column.strip() for column in line.split("|"))
        text = next((column for column in reversed(texts) if column), "")
        named.add(name)
        fault = _fault(name, text, line, audio, entries)
        if fault:
            faults.append(f"{table}, line {number}: {fault}")
        else:
            entries[name] = CorpusEntry(name, audio[name], text)
    faults += [f"{path}: no line in {table.name} names it" for name, path in audio.items() if name not in named]
    if not entries:
        raise UserError(f"{table}: no line can be used; {faults[0] if faults else 'it is empty'}")
    return Corpus(tuple(entries.values()), tuple(faults))


def read_corpus(folder: Path | str) -> list[CorpusEntry]:
    """The entries of a corpus whose every line has a text and a recording; recordings without a line are ignored.

    Raises:
        UserError: As `scan_corpus`; or a line of the table cannot be used.
    """
    corpus = scan_corpus(folder)
    table = str(Path(folder) / "metadata.csv")
    broken = [fault for fault in corpus.faults if fault.startswith(table)]
    if broken:
        raise UserError(broken[0])
    return list(corpus.entries)


def prompt_of(utterance_id: str, length: int = 12) -> str:
    """The prompt that a recording reads, if its id begins with it: its first `length` characters."""
    return utterance_id[:length]


def _recordings(folder: Path) -> dict[str, Path]:
    """The recording of every id. Hidden files, such as those that some systems put beside copies, are none."""
    if not folder.is_dir():
        return {}
    files = (path for path in folder.iterdir() if not path.name.startswith(".") and path.is_file())
    found: dict[str, Path] = {}
    for path in sorted(files, key=lambda path: (_rank(path), path.name)):
        found.setdefault(path.stem, path)
    return found


def _rank(path: Path) -> int:
    suffix = path.suffix.lower()
    return _PREFERRED.index(suffix) if suffix in _PREFERRED else len(_PREFERRED)


def _lines(table: Path) -> list[str]:
    """Lines end at line feeds only: a text may hold the other characters that Python calls line ends."""
    try:
        return table.read_bytes().decode("utf-8-sig").split("\n")
    except OSError as error:
        if not table.is_file():
            raise UserError(
                f"{table}: no such file; a corpus has metadata.csv (id|raw|normalised) beside wavs/"
            ) from error
        raise UserError(f"{table}: cannot read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{table}: not UTF-8 (byte {error.start + 1}); convert it with iconv") from error


def _fault(name: str, text: str, line: str, audio: Mapping[str, Path], seen: Mapping[str, CorpusEntry]) -> str | None:
    """Why a line of the table cannot be used; None if it can."""
    if not name or not text:
        return f"expected id|raw|normalised, found {line.strip()[:60]!r}"
    if name not in audio:
        return f"no recording {name}.* in wavs/"
    if name in seen:
        return f"the id {name} is there already"
    return None
