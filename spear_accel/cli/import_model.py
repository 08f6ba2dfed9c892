"""`spear-accel import` and `export`: trained models of other packages to voice folders, and back."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from spear_accel.cli import console
from spear_accel.errors import UserError

HUB = "hub"
"""Not a layout: a whole voice of this package on the Hugging Face Hub."""


class ExportLayout(str, Enum):
    """What can be exported to."""

    SPEAR_TTS_PYTORCH = "spear-tts-pytorch"


def import_model(
    layout: Annotated[
        str,
        typer.Argument(
            help="Package that made the checkpoint: hugging-face (transformers: T5, BART and their kin), "
            "spear-tts-pytorch, whisperspeech, or a layout that an installed package adds; 'auto' finds it from the "
            "file; 'hub' copies a voice of this package from the Hugging Face Hub."
        ),
    ],
    file: Annotated[
        str,
        typer.Argument(
            help="Checkpoint, of which nothing is executed: a file or, for hugging-face, a folder or owner/name[@rev] "
            "on the Hub; for 'hub': owner/name[@rev]."
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Voice folder to write; must not exist or be empty.")],
    heads: Annotated[
        int | None,
        typer.Option(min=1, help="Attention heads, if the file does not say.", show_default="the file's"),
    ] = None,
    head_dim: Annotated[
        int | None,
        typer.Option(min=1, help="Channels of a head, if the file does not say.", show_default="the file's"),
    ] = None,
    text_tokenizer: Annotated[
        str | None,
        typer.Option(
            help="How texts become ids: a SentencePiece file, a tokenizer.json, 'bytes' (UTF-8) or 'ids' (texts are "
            "numbers). spear-tts-pytorch needs it.",
            show_default="bytes for whisperspeech, what lies beside the weights for hugging-face",
        ),
    ] = None,
    early_exit_layer: Annotated[
        int | None,
        typer.Option(min=1, help="Decoder layer that the checkpoint's early exit follows.", show_default="found"),
    ] = None,
    language: Annotated[str, typer.Option(help="Language of the texts, as a code: en, pl, ...")] = "en",
    cps: Annotated[
        float | None,
        typer.Option(help="Speaking rate in characters a second (whisperspeech).", show_default="the model's"),
    ] = None,
    acoustic: Annotated[
        str | None,
        typer.Option(help="Voice with the same semantic tokens whose sound is used.", show_default="no sound"),
    ] = None,
    frame_rate: Annotated[
        float | None, typer.Option(help="Semantic tokens a second.", show_default="the layout's: 50 or 25")
    ] = None,
    licence: Annotated[str, typer.Option(help="Licence of the checkpoint, for the voice's card.")] = "unknown",
) -> None:
    """Make a voice folder from a trained model of another package, or copy a voice from the Hugging Face Hub."""
    from spear_accel import importers

    importers.check_target(output, acoustic)
    options = importers.ImportOptions(
        text_tokenizer=text_tokenizer, heads=heads, head_dim=head_dim, early_exit_layer=early_exit_layer, cps=cps,
        language=language, licence=licence, frame_rate=frame_rate,
    )  # fmt: skip
    if layout == HUB:
        if acoustic is not None or options != importers.ImportOptions():
            raise UserError("hub copies a voice as it is; leave out every option but -o")
        _copy_from_hub(file, output)
        return
    imported = importers.load(file, None if layout == "auto" else layout, options)
    voice = importers.save_voice(imported, output, acoustic)
    config = imported.model.config
    for note in imported.notes:
        console.warn(note)
    if imported.exit_layer is not None:
        console.say(f"the early exit follows layer {imported.exit_layer}; --early-exit-layer N says otherwise")
    console.say(
        f"{output}: {imported.model.parameter_count() / 1e6:.1f} M parameters, {config.encoder_layers} + "
        f"{config.decoder_layers} layers, {config.semantic_units} semantic tokens"
    )
    if voice.card.sample_rate is None:
        console.say("the voice ends at semantic tokens: spear-accel decode, or speak with --tokens-out F.npy")
    console.say(f"next: spear-accel accelerate {output} --text FILE")


def _copy_from_hub(repository: str, output: Path) -> None:
    """Copy a voice by its folder or by `owner/name[@revision]`."""
    from spear_accel.voice.copying import copy_voice
    from spear_accel.voice.hub import fetch_voice

    name, _, revision = repository.partition("@")
    copied = copy_voice(fetch_voice(name, revision or None), output)
    console.say(f"{output}: {copied.card.origin or name}")


def export_model(
    layout: Annotated[ExportLayout, typer.Argument(help="Package that will read the checkpoint.")],
    voice: Annotated[str, typer.Argument(help="Name of a shipped voice, or a voice folder.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Checkpoint file to write.")],
) -> None:
    """Write a voice's model, and its early exit if it fits, as a checkpoint of another package."""
    from spear_accel.importers.spear_tts_pytorch_export import export_voice
    from spear_accel.voice.folder import open_voice

    if not export_voice(open_voice(voice), output):
        console.warn(f"the layout {layout.value} has no place for the early exit of {voice}; it was left out")
