"""The end of the recipe: trained parts become a voice folder, every file sealed by its SHA-256, and are tuned."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from recipe import Recipe

from spear_accel.accelerate import tune_voice
from spear_accel.accelerate.costs import TunePlan
from spear_accel.acoustic import load_stage
from spear_accel.storage import folders
from spear_accel.storage.json_lines import read_manifest, write_manifest
from spear_accel.text.tokenizers import load_tokenizer
from spear_accel.training.heads.train import load_trained_heads
from spear_accel.training.loop.settings import build
from spear_accel.training.text_to_semantic.ctc_aligner import CtcAligner, align
from spear_accel.training.text_to_semantic.train import load_trained
from spear_accel.voice.components import save_head, save_text_to_semantic, save_text_tokenizer
from spear_accel.voice.folder import (
    ACOUSTIC,
    PHONEMES,
    README,
    SPEECH_TOKENIZER,
    TEXT_TO_SEMANTIC,
    TOKENIZER,
    VoiceCard,
    VoiceFolder,
    seal,
)

__all__ = ["align_pairs", "assemble", "task_of", "tune"]


def assemble(recipe: Recipe, model: Path, heads: Sequence[Path]) -> VoiceFolder:
    """Build the voice folder and put it in its place as a whole.

    Args:
        recipe: The recipe; its working folder holds the tokenizers and the acoustic stage.
        model: Training folder of the text-to-semantic model.
        heads: Training folders of draft heads.
    """
    recipe.voice.parent.mkdir(parents=True, exist_ok=True)
    with folders.replacing(recipe.voice) as building:
        kind = PHONEMES if (recipe.work / PHONEMES).exists() else TOKENIZER
        save_text_tokenizer(load_tokenizer(recipe.work / kind), building)
        save_text_to_semantic(load_trained(model), building / TEXT_TO_SEMANTIC)
        for trained in heads:
            for head in load_trained_heads(trained).values():
                save_head(building, head)
        for part in (ACOUSTIC, SPEECH_TOKENIZER):
            shutil.copytree(recipe.work / part, building / part)
        shutil.copyfile(recipe.card(), building / README)
        voice = seal(building, _card(recipe))
    return VoiceFolder(recipe.voice, voice.card)


def tune(voice: Path, texts: Path, plan: TunePlan) -> None:
    """Measure on this machine, which must be idle, what drafts cost and bring, and keep that in the voice.

    A copy is measured and takes the voice's place when all is done, so that a kill leaves a whole voice.

    Args:
        voice: The voice folder.
        texts: A manifest of `text_ids` that no part of the voice was trained on.
        plan: How long to measure.
    """
    with folders.replacing(voice) as building:
        shutil.copytree(voice, building, dirs_exist_ok=True)
        tune_voice(building, [record["text_ids"] for record in read_manifest(texts, ("text_ids",))], plan)


def align_pairs(aligner: CtcAligner, pairs: Path, rows: int = 32) -> None:
    """Add `alignment` to every record of a manifest of pairs: where in its text each token is."""
    records = read_manifest(pairs, ("text_ids", "tokens"))
    order = sorted(range(len(records)), key=lambda index: len(records[index]["tokens"]))
    for first in range(0, len(order), rows):
        batch = [records[index] for index in order[first : first + rows]]
        for record, found in zip(batch, align(aligner, batch), strict=True):
            record["alignment"] = found
    write_manifest(pairs, records)


def task_of(settings: Path) -> str:
    """What an acoustic training run trains: "mel-decoder" or "vocoder"."""
    return str(yaml.safe_load(settings.read_text(encoding="utf-8")).get("task"))


def _card(recipe: Recipe) -> VoiceCard:
    """The voice's card: what the settings say, and the sample rate of its own acoustic stage."""
    values: dict[str, Any] = recipe.filled(recipe.settings["voice"], recipe.config / "settings.yaml")
    values["sample_rate"] = load_stage(recipe.work / ACOUSTIC).sample_rate
    return build(VoiceCard, values, "settings.yaml, voice")
