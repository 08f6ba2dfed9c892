"""Put the trained parts together to a voice folder, weights in half precision, every file sealed by its SHA-256."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spear_accel.accelerate import tune_voice
from spear_accel.accelerate.costs import TunePlan
from spear_accel.storage import folders
from spear_accel.storage.json_lines import read_manifest
from spear_accel.training.heads.train import load_trained_heads
from spear_accel.training.text_to_semantic.train import load_trained
from spear_accel.voice.components import save_head, save_text_to_semantic
from spear_accel.voice.folder import (
    ACOUSTIC,
    SPEECH_TOKENIZER,
    TEXT_TO_SEMANTIC,
    TOKENIZER,
    VoiceCard,
    VoiceFolder,
    seal,
)

__all__ = ["package", "tune"]


def package(work: Path, target: Path, card: Mapping[str, Any], readme: Path) -> VoiceFolder:
    """Assemble ``target`` from the recipe's working folder ``work``.

    The folder is built beside its place and moved there when it is complete.
    """
    with folders.replacing(target) as building:
        shutil.copyfile(work / TOKENIZER, building / TOKENIZER)
        save_text_to_semantic(load_trained(work / "text_to_semantic" / "real"), building / TEXT_TO_SEMANTIC)
        for trained in ("heads", "heads_recurrent"):
            for head in load_trained_heads(work / trained).values():
                save_head(building, head)
        for part in (ACOUSTIC, SPEECH_TOKENIZER):
            shutil.copytree(work / part, building / part)
        shutil.copyfile(readme, building / "README.md")
        voice = seal(building, VoiceCard(**card))
    return VoiceFolder(target, voice.card)


def tune(folder: Path, texts: Path, plan: TunePlan) -> None:
    """Measure on this machine, which must be idle, what drafts of each method cost and bring, and keep it in the voice.

    texts: a manifest of ``text_ids`` that no part of the voice was trained on.
    """
    tune_voice(folder, [record["text_ids"] for record in read_manifest(texts, ("text_ids",))], plan)
