"""Put the trained parts together to a voice folder, weights in half precision, every file sealed by its SHA-256."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spear_accel.acoustic import save_stage
from spear_accel.io.parts import save_text_to_semantic
from spear_accel.io.voice import ACOUSTIC, SPEECH_TOKENIZER, TEXT_TO_SEMANTIC, TOKENIZER, VoiceCard, VoiceFolder, seal
from spear_accel.training.acoustic import load_trained_stage
from spear_accel.training.text_to_semantic import load_trained

__all__ = ["package"]


def package(work: Path, target: Path, card: Mapping[str, Any], readme: Path) -> VoiceFolder:
    """Assemble ``target`` from the recipe's working folder ``work``.

    The folder is built beside its place and moved there when it is complete.
    """
    building = target.with_name(target.name + ".part")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    shutil.copyfile(work / TOKENIZER, building / TOKENIZER)
    save_text_to_semantic(load_trained(work / "text_to_semantic" / "real"), building / TEXT_TO_SEMANTIC)
    save_stage(load_trained_stage(work / "mel_decoder", work / "vocoder"), building / ACOUSTIC)
    shutil.copytree(work / SPEECH_TOKENIZER, building / SPEECH_TOKENIZER)
    shutil.copyfile(readme, building / "README.md")
    voice = seal(building, VoiceCard(**card))
    shutil.rmtree(target, ignore_errors=True)
    building.rename(target)
    return VoiceFolder(target, voice.card)
