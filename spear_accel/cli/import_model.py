"""`spear-accel import` and `export`: trained models of other packages to voice folders, and back."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spear_accel.cli import console
from spear_accel.errors import UserError

if TYPE_CHECKING:
    from spear_accel.importers.write import Imported
    from spear_accel.voice.folder import VoiceCard


class Layout(str, Enum):
    """What can be imported."""

    SPEAR_TTS_PYTORCH = "spear-tts-pytorch"
    WHISPERSPEECH = "whisperspeech"
    HUGGING_FACE = "hugging-face"


class ExportLayout(str, Enum):
    """What can be exported to."""

    SPEAR_TTS_PYTORCH = "spear-tts-pytorch"


def import_model(
    layout: Annotated[Layout, typer.Argument(help="The package that made the checkpoint.")],
    file: Annotated[
        str, typer.Argument(help="The checkpoint, of which nothing is executed; or owner/name[@revision].")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Voice folder to write.")],
    heads: Annotated[int | None, typer.Option(help="Attention heads, where the file does not tell.")] = None,
    head_dim: Annotated[int | None, typer.Option(help="Width of a head, where the file does not tell.")] = None,
    text_tokenizer: Annotated[str | None, typer.Option(help="SentencePiece file, 'bytes' or 'ids'.")] = None,
    early_exit_layer: Annotated[int | None, typer.Option(help="Of the file's exit; found if left out.")] = None,
    language: Annotated[str, typer.Option(help="Of the texts, as a code: en, pl, ...")] = "en",
    cps: Annotated[float | None, typer.Option(help="WhisperSpeech: characters a second.")] = None,
    acoustic: Annotated[str | None, typer.Option(help="Voice of the same units, whose sound is used.")] = None,
    frame_rate: Annotated[float | None, typer.Option(help="Semantic tokens a second.")] = None,
    licence: Annotated[str, typer.Option(help="Of the checkpoint.")] = "unknown",
) -> None:
    """Make a voice folder from a trained model of another package, or from a voice on the Hugging Face Hub."""
    from spear_accel.importers.write import check_place, copy_voice, write_voice

    check_place(output, acoustic)
    if layout is Layout.HUGGING_FACE:
        from spear_accel.voice.hub import fetch_voice

        name, _, revision = file.partition("@")
        copied = copy_voice(fetch_voice(name, revision or None), output)
        console.say(f"{output}: {copied.card.origin or name}")
        return
    card = _card(output, language, licence, _FRAME_RATES[layout] if frame_rate is None else frame_rate)
    if layout is Layout.WHISPERSPEECH:
        imported = _whisperspeech(Path(file), heads, head_dim, text_tokenizer, cps, card, acoustic)
    else:
        if cps is not None:
            raise UserError("--cps: only WhisperSpeech models know speaking rates; leave it out")
        imported = _spear_tts_pytorch(Path(file), heads, head_dim, text_tokenizer, early_exit_layer, card, acoustic)
    voice = write_voice(imported, output)
    if imported.exit_layer is not None:
        console.say(f"the early exit is behind layer {imported.exit_layer}; --early-exit-layer N says otherwise")
    config = imported.model.config
    console.say(
        f"{output}: {imported.model.parameter_count() / 1e6:.1f} M parameters, {config.encoder_layers} + "
        f"{config.decoder_layers} layers, {config.semantic_units} units"
    )
    if voice.card.sample_rate is None:
        console.say("it ends at semantic tokens: speak with --tokens-out F.npy")
    console.say(f"next: spear-accel accelerate {output} --text FILE")


def export_model(
    layout: Annotated[ExportLayout, typer.Argument(help="The package that is to read it.")],
    voice: Annotated[str, typer.Argument(help="Name of a shipped voice, or a voice folder.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Checkpoint to write.")],
) -> None:
    """Write a voice's model, and its early exit if it fits, as a checkpoint of another package."""
    from spear_accel.heads import EarlyExit
    from spear_accel.importers import spear_tts_pytorch_export
    from spear_accel.storage import files
    from spear_accel.voice import components
    from spear_accel.voice.folder import open_voice

    files.check_writable(output)
    folder = open_voice(voice)
    model = components.load_text_to_semantic(folder)
    head = components.load_heads(folder, model.config).get("early-exit")
    fits = isinstance(head, EarlyExit) and spear_tts_pytorch_export.fits(head)
    spear_tts_pytorch_export.save(model, output, head if fits and isinstance(head, EarlyExit) else None)
    if head is not None and not fits:
        console.warn(f"the early exit of {voice} has no place in the layout of {layout.value} and was left out")


_FRAME_RATES = {Layout.SPEAR_TTS_PYTORCH: 50.0, Layout.WHISPERSPEECH: 25.0}
_WHISPERSPEECH_CHARACTERS = 180
"""Of an utterance: three bytes each still fit the model's text."""


def _card(output: Path, language: str, licence: str, frame_rate: float) -> VoiceCard:
    from spear_accel.voice.folder import VoiceCard

    if not frame_rate > 0.0:
        raise UserError(f"--frame-rate {frame_rate:g}: must be above 0")
    name = output.resolve().name
    return VoiceCard(name, language, licence, frame_rate, sample_rate=None, tokens_per_character=None)


def _spear_tts_pytorch(
    file: Path, heads: int | None, head_dim: int | None, text_tokenizer: str | None, exit_layer: int | None,
    card: VoiceCard, acoustic: str | None,
) -> Imported:  # fmt: skip
    from spear_accel.importers import spear_tts_pytorch
    from spear_accel.importers.exit_layer import find_exit_layer
    from spear_accel.importers.write import Imported, make_tokenizer

    model = spear_tts_pytorch.load(file, heads, head_dim)
    tokenizer = make_tokenizer(text_tokenizer, model.config)
    behind = spear_tts_pytorch.early_exits(file)
    if behind is None and exit_layer is not None:
        raise UserError(f"--early-exit-layer {exit_layer}: {file} has no early exit; leave it out")
    if behind is None or model.config.decoder_layers < 2:
        return Imported(model, tokenizer, card, acoustic=acoustic)
    if exit_layer is None:
        exit_layer = find_exit_layer(model, behind)
    return Imported(model, tokenizer, card, (behind(exit_layer),), exit_layer, acoustic)


def _whisperspeech(
    file: Path, heads: int | None, head_dim: int | None, text_tokenizer: str | None, cps: float | None,
    card: VoiceCard, acoustic: str | None,
) -> Imported:  # fmt: skip
    from dataclasses import replace

    from spear_accel.importers import whisperspeech
    from spear_accel.importers.write import Imported, make_tokenizer
    from spear_accel.text.raw import ByteTokenizer

    if card.language not in whisperspeech.LANGUAGES:
        raise UserError(f"--language {card.language}: choose one of {', '.join(whisperspeech.LANGUAGES)}")
    model = whisperspeech.load(file, heads, head_dim)
    config = model.config
    tokenizer = make_tokenizer(text_tokenizer or "bytes", config)
    if isinstance(tokenizer, ByteTokenizer):
        language = config.language_id(whisperspeech.LANGUAGES.index(card.language))
        rates = () if cps is None else (config.rate_id(cps),)
        tokenizer = ByteTokenizer((language, *rates))
    longest = min(_WHISPERSPEECH_CHARACTERS, max(1, (config.longest_text - 1) // 3))
    return Imported(model, tokenizer, replace(card, longest_utterance=longest), acoustic=acoustic)
