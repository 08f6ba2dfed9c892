"""Text side of the recipe: the SentencePiece tokenizer, and manifests that pair text ids with semantic tokens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from spear_accel.storage.json_lines import read_manifest, write_manifest
from spear_accel.text.normalise import normalise
from spear_accel.text.tokenizer import TextTokenizer, TokenizerConfig
from spear_accel.training.text_to_semantic.letter_times import Speller, places

__all__ = ["date_letters", "pair_manifest", "spelling_manifest", "train_tokenizer"]


def train_tokenizer(manifests: list[Path], target: Path, settings: Mapping[str, Any]) -> TextTokenizer:
    """Train on the normalised texts of ``manifests`` and write ``target``."""
    lines = [normalise(record["text"]).text for path in manifests for record in read_manifest(path, ("text",))]
    tokenizer = TextTokenizer.train(lines, TokenizerConfig(**settings))
    tokenizer.save(target)
    return tokenizer


def pair_manifest(tokenizer: TextTokenizer, source: Path, target: Path) -> int:
    """Write ``{"id", "text_ids", "tokens"}`` for each record of ``source``."""

    def pairs() -> Iterator[dict[str, Any]]:
        for record in read_manifest(source, ("id", "text", "tokens")):
            text = normalise(record["text"]).text
            yield {"id": record["id"], "text_ids": tokenizer.encode(text), "tokens": record["tokens"]}

    return write_manifest(target, pairs())


def date_letters(speller: Speller, pairs: Path, rows: int = 32) -> None:
    """Add ``places`` to every record of ``pairs``: where in its text each token is."""
    records = read_manifest(pairs, ("text_ids", "tokens"))
    order = sorted(range(len(records)), key=lambda index: len(records[index]["tokens"]))
    for first in range(0, len(order), rows):
        batch = [records[index] for index in order[first : first + rows]]
        for record, found in zip(batch, places(speller, batch), strict=True):
            record["places"] = found
    write_manifest(pairs, records)


def spelling_manifest(tokenizer: TextTokenizer, sources: list[Path], target: Path) -> int:
    """Write ``{"id", "text_ids", "phonemes"}`` for each record of ``sources``: what pronunciation is learned from."""

    def spellings() -> Iterator[dict[str, Any]]:
        for source in sources:
            for record in read_manifest(source, ("id", "text", "phonemes")):
                ids = tokenizer.encode(normalise(record["text"]).text)
                yield {"id": record["id"], "text_ids": ids, "phonemes": record["phonemes"]}

    return write_manifest(target, spellings())
