"""Data of the recipe: manifests with phonemes, a second voice, and parallel speech made with espeak-ng."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import espeak
import recordings
from recipe import Recipe
from tqdm import tqdm

from spear_accel.data.corpus import CorpusEntry, read_corpus
from spear_accel.data.split import split_entries
from spear_accel.storage.json_lines import read_manifest, write_manifest

__all__ = ["data", "paired_manifest", "spoken_manifest", "with_phonemes"]

_PLAIN = re.compile(r"[A-Za-z ,.?!;:'\"()\-]+")
"""Sentences that every reader pronounces alike: no figures, no symbols."""


def data(recipe: Recipe) -> None:
    """Choose what can be used and what is held out, write manifests with phonemes, and speak with espeak-ng.

    Without a section `synthetic` espeak-ng is not needed: manifests hold no phonemes, from which only encoders learn.
    """
    settings = recipe.settings.get("synthetic")
    if settings:
        espeak.check()
    entries = recordings.clean(recipe)
    parts = {str(part): chosen for part, chosen in split_entries(entries, recordings.split_of(recipe, entries)).items()}
    parts["extra"] = read_corpus(recipe.inputs["extra"])
    if not settings:
        recordings.write_manifests(recipe, parts)
        return
    for name, chosen in parts.items():
        write_manifest(recipe.manifest(name), with_phonemes(chosen))
    spoken_manifest(recipe.inputs["sentences"], recipe.work / "synthetic", recipe.manifest("synthetic_all"), settings)
    paired_manifest(recipe.manifest("synthetic_all"), recipe.manifest("synthetic"), settings)


def spoken_manifest(sentences: Path, audio: Path, target: Path, settings: Mapping[str, Any]) -> None:
    """Speak every plain line of `sentences` with espeak-ng and write a manifest.

    Most lines are read by the main voice, the rest by the others, which keeps the encoder from leaning on one voice;
    speed and pitch vary. Recordings that exist are kept, so the step goes on where it was stopped.

    Args:
        sentences: Text, a sentence a line.
        audio: Folder for the recordings.
        target: The manifest.
        settings: The section `synthetic`.
    """
    audio.mkdir(parents=True, exist_ok=True)
    lines = [(i, line.strip()) for i, line in enumerate(sentences.read_text(encoding="utf-8").splitlines())]
    plain = [(i, line) for i, line in lines if _PLAIN.fullmatch(line)]

    def speak(item: tuple[int, str]) -> dict[str, Any]:
        number, line = item
        chance = random.Random(number)
        main = chance.random() < settings["main_share"]
        voice = settings["main_voice"] if main else chance.choice(settings["other_voices"])
        path = audio / f"s{number:05d}.wav"
        if not path.exists():
            speed, pitch = chance.randint(*settings["speed"]), chance.randint(*settings["pitch"])
            espeak.synthesise(line, path, voice=voice, speed=speed, pitch=pitch)
        return {"id": path.stem, "audio": str(path), "text": line, "voice": voice, "phonemes": espeak.phonemes(line)}

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        write_manifest(target, tqdm(pool.map(speak, plain), total=len(plain), desc="espeak-ng"))


def paired_manifest(source: Path, target: Path, settings: Mapping[str, Any]) -> None:
    """The first lines of the main voice: those that text-to-semantic learns from."""
    spoken = [record for record in read_manifest(source, ("voice",)) if record["voice"] == settings["main_voice"]]
    write_manifest(target, spoken[: settings["paired"]])


def with_phonemes(entries: Iterable[CorpusEntry]) -> Iterator[dict[str, Any]]:
    """Records of a corpus with the phonemes that espeak-ng reads."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        entries = list(entries)
        for entry, phonemes in zip(entries, pool.map(espeak.phonemes, (e.text for e in entries)), strict=True):
            yield {"id": entry.id, "audio": str(entry.audio), "text": entry.text, "phonemes": phonemes}
