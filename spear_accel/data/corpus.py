"""Corpora in LJSpeech layout: ``wavs/ID.*`` beside ``metadata.csv`` with ``id|raw|normalised`` and no header.

Knows folders and splits. Does not read the audio.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from spear_accel.errors import UserError

__all__ = ["Utterance", "prompt_of", "read_corpus", "split_by_prompt"]


@dataclass(frozen=True)
class Utterance:
    """One recording and what is said in it."""

    id: str
    audio: Path
    text: str


def read_corpus(folder: Path | str) -> list[Utterance]:
    """The utterances of a corpus in the order of its ``metadata.csv``; the last column is taken as the text.

    Raises:
        UserError: No ``metadata.csv``, a line without a text, or a line without its recording.
    """
    folder = Path(folder)
    table = folder / "metadata.csv"
    if not table.is_file():
        raise UserError(f"{table}: no such file; a corpus has metadata.csv (id|raw|normalised) beside wavs/")
    audio = {path.stem: path for path in (folder / "wavs").iterdir()} if (folder / "wavs").is_dir() else {}
    utterances = []
    for number, line in enumerate(table.read_text(encoding="utf-8").splitlines(), start=1):
        columns = line.split("|")
        if len(columns) < 2 or not columns[-1].strip():
            raise UserError(f"{table}, line {number}: expected id|raw|normalised, found {line[:60]!r}")
        if columns[0] not in audio:
            raise UserError(f"{table}, line {number}: no recording {columns[0]}.* in {folder / 'wavs'}")
        utterances.append(Utterance(columns[0], audio[columns[0]], columns[-1].strip()))
    return utterances


def prompt_of(utterance_id: str, length: int = 12) -> str:
    """The prompt an utterance reads: the first ``length`` characters of its id (``arctic_a0001_...``).

    Takes of one prompt must stay on one side of a split, or the same sentence leaks across.
    """
    return utterance_id[:length]


def split_by_prompt(
    utterances: Iterable[Utterance], held_out: Iterable[str]
) -> tuple[list[Utterance], list[Utterance]]:
    """Split into ``(kept, held out)`` by a list of prompts."""
    prompts = set(held_out)
    kept: list[Utterance] = []
    out: list[Utterance] = []
    for utterance in utterances:
        (out if prompt_of(utterance.id) in prompts else kept).append(utterance)
    return kept, out
