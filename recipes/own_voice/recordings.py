"""Data of the recipe: the recordings that can be used, at which level they are, and what is held out."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from recipe import Recipe
from tqdm import tqdm

from spear_accel.audio.encoder import SAMPLE_RATE
from spear_accel.audio.files import read_audio
from spear_accel.data.corpus import CorpusEntry, scan_corpus
from spear_accel.data.split import Split, choose_split, read_split, split_entries
from spear_accel.errors import UserError
from spear_accel.storage import files, folders
from spear_accel.storage.json_lines import write_manifest

__all__ = ["clean", "data", "split_of", "write_manifests"]

_LOUDEST, _QUIETEST = 24.0, -12.0
"""Bounds in dB of the gain that brings recordings to the wanted level."""


def data(recipe: Recipe) -> None:
    """Choose what can be used and what is held out, and write manifests of `id`, `audio` and `text`."""
    entries = clean(recipe)
    write_manifests(recipe, split_entries(entries, split_of(recipe, entries)))


def clean(recipe: Recipe) -> list[CorpusEntry]:
    """Link the recordings that can be used into the working folder, in LJSpeech layout, and note their level.

    `left_out.txt` names every recording and line that cannot be used, with the reason.

    Raises:
        UserError: There is no corpus, or nothing of it can be used.
    """
    settings = recipe.settings["data"]
    scanned = scan_corpus(recipe.corpus)
    faults = list(scanned.faults)
    heard = list(_heard(scanned.entries[: settings["limit"]], settings, faults))
    files.write_lines(recipe.work / "left_out.txt", faults)
    print(f"{len(heard)} recordings, {len(faults)} left out (left_out.txt)", file=sys.stderr)
    if not heard:
        raise UserError(f"{recipe.corpus}: nothing can be used; {faults[0]}")
    recipe.note(GAIN_DB=_gain([level for _, level in heard], settings["level_db"]))
    return _linked([entry for entry, _ in heard], recipe.clean_corpus)


def split_of(recipe: Recipe, entries: list[CorpusEntry]) -> Split:
    """What is held out. A split that was chosen before is kept."""
    path = recipe.work / "split.json"
    if not path.exists():
        choose_split(entries, **recipe.settings["split"]).save(path)
    return read_split(path)


def write_manifests(recipe: Recipe, parts: Mapping[Any, Iterable[CorpusEntry]]) -> None:
    """A manifest for each part."""
    for part, entries in parts.items():
        write_manifest(
            recipe.manifest(str(part)), ({"id": e.id, "audio": str(e.audio), "text": e.text} for e in entries)
        )


def _heard(
    entries: Iterable[CorpusEntry], settings: Mapping[str, Any], faults: list[str]
) -> Iterator[tuple[CorpusEntry, float]]:
    """The recordings that can be read and are neither too short nor too long, with their level in dB of full scale."""
    shortest, longest = settings["shortest_seconds"], settings["longest_seconds"]
    for entry in tqdm(entries, desc="recordings", mininterval=5):
        try:
            waveform = read_audio(entry.audio, SAMPLE_RATE)
        except UserError as error:
            faults.append(str(error))
            continue
        seconds, level = len(waveform) / SAMPLE_RATE, 20 * math.log10(max(1e-6, float(waveform.square().mean().sqrt())))
        if not shortest <= seconds <= longest:
            faults.append(f"{entry.audio}: lasts {seconds:.2f} s, not {shortest} to {longest} s (settings.yaml, data)")
        else:
            yield entry, level


def _gain(levels: list[float], wanted: float) -> float:
    """Decibels that bring the median recording to the wanted level, within bounds."""
    median = sorted(levels)[len(levels) // 2]
    return round(min(_LOUDEST, max(_QUIETEST, wanted - median)), 1)


def _linked(entries: list[CorpusEntry], folder: Path) -> list[CorpusEntry]:
    """A corpus of links to recordings; the entries as they are in it."""
    with folders.replacing(folder) as building:
        (building / "wavs").mkdir()
        for entry in entries:
            (building / "wavs" / f"{entry.id}{entry.audio.suffix}").symlink_to(entry.audio.resolve())
        files.write_lines(building / "metadata.csv", (f"{entry.id}|{entry.text}" for entry in entries))
    return [CorpusEntry(e.id, folder / "wavs" / f"{e.id}{e.audio.suffix}", e.text) for e in entries]
