"""A voice folder around an imported model: whole, or not at all.

Knows what a voice needs beside its model; the layouts of other packages are in the modules beside this one.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from spear_accel.errors import UserError
from spear_accel.model import TextToSemantic, TextToSemanticConfig
from spear_accel.storage import files
from spear_accel.text.raw import ByteTokenizer, IdTokenizer
from spear_accel.text.tokenizer import TextTokenizer
from spear_accel.voice import components
from spear_accel.voice.folder import (
    ACOUSTIC,
    CARD,
    RAW_TOKENIZER,
    README,
    SPEECH_TOKENIZER,
    TEXT_TO_SEMANTIC,
    TOKENIZER,
    VoiceCard,
    VoiceFolder,
    open_voice,
    seal,
)

__all__ = ["Imported", "check_place", "copy_voice", "make_tokenizer", "write_voice"]

AnyTokenizer = TextTokenizer | ByteTokenizer | IdTokenizer
_UNLIMITED = 100_000
"""Characters of an utterance that is ids, which no one may cut."""


@dataclass(frozen=True)
class Imported:
    """What becomes a voice."""

    model: TextToSemantic
    tokenizer: AnyTokenizer
    card: VoiceCard
    heads: tuple[nn.Module, ...] = ()
    exit_layer: int | None = None
    """Of an early exit among them."""
    acoustic: str | None = None
    """A voice whose acoustic stage, and what belongs to its units, is taken over."""


def make_tokenizer(wanted: str | None, config: TextToSemanticConfig) -> AnyTokenizer:
    """The text tokenizer named on a command line: a SentencePiece file, "bytes" or "ids".

    Raises UserError where nothing is named, or the file is none or has more ids than the model.
    """
    ids = config.letters - (config.text_eos_id is not None)
    if wanted is None:
        raise UserError(
            "the checkpoint does not say how texts become ids; pass --text-tokenizer FILE (the SentencePiece model it "
            "was trained with), 'bytes' (ids are UTF-8 bytes) or 'ids' (texts are numbers already)"
        )
    if wanted == "ids":
        return IdTokenizer(ids)
    tokenizer = ByteTokenizer() if wanted == "bytes" else TextTokenizer.load(wanted)
    if tokenizer.vocab_size > ids:
        raise UserError(
            f"--text-tokenizer {wanted}: makes {tokenizer.vocab_size} ids, the model reads {ids}; pass the one that "
            "the checkpoint was trained with"
        )
    return tokenizer


def check_place(folder: Path, acoustic: str | None = None) -> None:
    """Find out before long work whether a voice can be written to `folder`, with the sound of the voice `acoustic`.

    Raises UserError if not.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        what = "holds a voice" if (folder / CARD).exists() else "is there"
        raise UserError(f"{folder}: {what} already; choose another -o, or delete it")
    if not folder.resolve().parent.is_dir():
        raise UserError(f"{folder.parent}: no such folder; make it first or write elsewhere")
    if acoustic is not None:
        open_voice(acoustic)


def write_voice(imported: Imported, folder: str | Path) -> VoiceFolder:
    """Write the voice folder, weights as they are.

    Raises UserError where `folder` holds something already, or the acoustic stage is of other units.
    """
    source = None if imported.acoustic is None else open_voice(imported.acoustic)
    card = imported.card
    if isinstance(imported.tokenizer, IdTokenizer):
        card = replace(card, longest_utterance=_UNLIMITED)
    if source is not None:
        card = _with_sound(card, source, imported.model.config)
    with _building(Path(folder)) as building:
        components.save_text_to_semantic(imported.model, building / TEXT_TO_SEMANTIC, half=False)
        _save_tokenizer(imported.tokenizer, building)
        for head in imported.heads:
            components.save_head(building, head, half=False)
        for part in (ACOUSTIC, SPEECH_TOKENIZER):
            if source is not None and source.has(part):
                shutil.copytree(source.part(part), building / part)
        sealed = seal(building, card)
    return VoiceFolder(Path(folder), sealed.card)


def copy_voice(source: VoiceFolder, folder: str | Path) -> VoiceFolder:
    """A whole voice at another place, its card, origin included, as `source` says. Raises as `write_voice`."""
    source.verify()
    with _building(Path(folder)) as building:
        for name in source.card.files:
            (building / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source.path / name, building / name)
        if (source.path / README).is_file():
            shutil.copyfile(source.path / README, building / README)
        sealed = seal(building, source.card)
    return VoiceFolder(Path(folder), sealed.card)


def _with_sound(card: VoiceCard, source: VoiceFolder, config: TextToSemanticConfig) -> VoiceCard:
    stage = components.load_acoustic(source)
    if stage is None:
        raise UserError(f"--acoustic {source.path}: this voice has no acoustic stage itself; name another")
    if stage.units < config.semantic_units:
        raise UserError(
            f"--acoustic {source.path}: its stage knows {stage.units} units, the model speaks "
            f"{config.semantic_units}; name a voice of the same units"
        )
    kept = ("sample_rate", "frame_rate", "collapse_repeats", "tokens_per_character", "longest_utterance")
    return replace(card, **{name: getattr(source.card, name) for name in kept})


def _save_tokenizer(tokenizer: AnyTokenizer, folder: Path) -> None:
    if isinstance(tokenizer, TextTokenizer):
        tokenizer.save(folder / TOKENIZER)
    else:
        files.write_json(folder / RAW_TOKENIZER, tokenizer.to_dict())


@contextmanager
def _building(folder: Path) -> Iterator[Path]:
    """A folder beside `folder` that takes its place when the block ends well, and is gone when not."""
    check_place(folder)
    building = folder.with_name(folder.name + ".part")
    try:
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir()
        yield building
        if folder.exists():
            folder.rmdir()
        building.rename(folder)
    except OSError as error:
        raise UserError(f"{folder}: cannot write ({error.strerror or error}); nothing was left behind") from error
    finally:
        shutil.rmtree(building, ignore_errors=True)
