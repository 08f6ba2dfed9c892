"""Writes a voice folder around an imported model, whole or not at all. Knows no layout."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from spear_accel.errors import UserError
from spear_accel.importers.base import Imported
from spear_accel.model import TextToSemanticConfig
from spear_accel.text.raw import IdTokenizer
from spear_accel.voice import components
from spear_accel.voice.copying import building, check_free
from spear_accel.voice.folder import (
    ACOUSTIC,
    SPEECH_TOKENIZER,
    TEXT_TO_SEMANTIC,
    VoiceCard,
    VoiceFolder,
    open_voice,
    seal,
)

__all__ = ["check_target", "save_voice"]

_UNLIMITED = 100_000
"""Characters in an utterance of ids, which must not be cut."""


def check_target(folder: str | Path, acoustic: str | None = None) -> None:
    """Check before long work that a voice can be written to a folder.

    Args:
        folder: The voice folder to be.
        acoustic: Voice whose acoustic stage it will take.

    Raises:
        UserError: The folder holds something, its parent is missing, or there is no voice `acoustic`.
    """
    check_free(folder)
    if acoustic is not None:
        open_voice(acoustic)


def save_voice(imported: Imported, folder: str | Path, acoustic: str | None = None) -> VoiceFolder:
    """Write a voice folder, weights in the precision that they have.

    Args:
        imported: What `load` returned.
        folder: The folder to make; the voice gets its name.
        acoustic: Name or folder of a voice with the same semantic tokens, whose acoustic stage is copied. None: the
            voice ends at semantic tokens.

    Raises:
        UserError: The folder holds something already, or the acoustic stage has other semantic tokens.
    """
    folder = Path(folder)
    source = None if acoustic is None else open_voice(acoustic)
    card = replace(imported.card, name=folder.resolve().name)
    if isinstance(imported.tokenizer, IdTokenizer):
        card = replace(card, longest_utterance=_UNLIMITED)
    if source is not None:
        card = _with_sound(card, source, imported.model.config)
    with building(folder) as place:
        components.save_text_to_semantic(imported.model, place / TEXT_TO_SEMANTIC, half=False)
        components.save_text_tokenizer(imported.tokenizer, place)
        if imported.decoding:
            components.save_decoding_defaults(place, dict(imported.decoding))
        for head in imported.heads:
            components.save_head(place, head, half=False)
        for part in (ACOUSTIC, SPEECH_TOKENIZER):
            if source is not None and source.has(part):
                shutil.copytree(source.part(part), place / part)
        sealed = seal(place, card)
    return VoiceFolder(folder, sealed.card)


def _with_sound(card: VoiceCard, source: VoiceFolder, config: TextToSemanticConfig) -> VoiceCard:
    stage = components.load_acoustic(source)
    if stage is None:
        raise UserError(f"--acoustic {source.path}: this voice has no acoustic stage itself; name another")
    if stage.num_tokens < config.semantic_units:
        raise UserError(
            f"--acoustic {source.path}: its stage knows {stage.num_tokens} semantic tokens, the model writes "
            f"{config.semantic_units}; name a voice of the same tokens"
        )
    kept = ("sample_rate", "frame_rate", "collapse_repeats", "tokens_per_character", "longest_utterance")
    return replace(card, **{name: getattr(source.card, name) for name in kept})
