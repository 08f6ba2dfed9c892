"""Data of the recipe: the split by prompt, manifests with phonemes, and parallel speech made with espeak-ng."""

from __future__ import annotations

import json
import os
import random
import re
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import espeak
from tqdm import tqdm

from spear_accel.data.corpus import CorpusEntry, prompt_of, read_corpus
from spear_accel.storage.json_lines import write_manifest

__all__ = ["corpus_manifests", "split_prompts", "synthetic_manifest"]

_PLAIN = re.compile(r"[A-Za-z ,.?!;:'\"()\-]+")
"""Sentences that every reader pronounces alike: no figures, no symbols."""


def split_prompts(corpus: Path, target: Path, *, test: int, validation: int, seed: int) -> dict[str, list[str]]:
    """Choose the prompts that training never sees and write them to ``target``; an existing split is kept."""
    if not target.exists():
        prompts = sorted({prompt_of(utterance.id) for utterance in read_corpus(corpus)})
        random.Random(seed).shuffle(prompts)
        split = {"test": sorted(prompts[:test]), "validation": sorted(prompts[test : test + validation])}
        target.write_text(json.dumps(split, indent=1) + "\n")
    found: dict[str, list[str]] = json.loads(target.read_text())
    return found


def corpus_manifests(corpus: Path, extra: Path | None, split: Mapping[str, list[str]], folder: Path) -> None:
    """Write ``train``, ``validation``, ``test`` and, with a second corpus, ``extra`` ``.jsonl`` to ``folder``."""
    parts: dict[str, list[CorpusEntry]] = {"train": [], "validation": [], "test": []}
    where = {prompt: part for part, prompts in split.items() for prompt in prompts}
    for utterance in read_corpus(corpus):
        parts[where.get(prompt_of(utterance.id), "train")].append(utterance)
    if extra is not None:
        parts["extra"] = read_corpus(extra)
    for name, utterances in parts.items():
        write_manifest(folder / f"{name}.jsonl", _with_phonemes(utterances))


def synthetic_manifest(sentences: Path, folder: Path, settings: Mapping[str, Any]) -> None:
    """Speak every plain line of ``sentences`` with espeak-ng and write ``synthetic.jsonl`` to ``folder``.

    Most lines are read by the main voice, the rest by the others, which keeps the encoder from leaning on one voice;
    speed and pitch vary. Files that exist are kept, so the step goes on where it was stopped.
    """
    audio = folder.parent / "synthetic"
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
            espeak.synthesise(
                line,
                path,
                voice=voice,
                speed=chance.randint(*settings["speed"]),
                pitch=chance.randint(*settings["pitch"]),
            )
        return {"id": path.stem, "audio": str(path), "text": line, "voice": voice, "phonemes": espeak.phonemes(line)}

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        write_manifest(folder / "synthetic.jsonl", tqdm(pool.map(speak, plain), total=len(plain), desc="espeak-ng"))


def _with_phonemes(utterances: Iterable[CorpusEntry]) -> Iterator[dict[str, Any]]:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        utterances = list(utterances)
        for utterance, phonemes in zip(
            utterances, pool.map(espeak.phonemes, (u.text for u in utterances)), strict=True
        ):
            yield {"id": utterance.id, "audio": str(utterance.audio), "text": utterance.text, "phonemes": phonemes}
