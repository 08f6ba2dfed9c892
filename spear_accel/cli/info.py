"""`spear-accel info`: what a voice is and whether its files are whole."""

from __future__ import annotations

from typing import Annotated

import typer

from spear_accel.decoding.registry import installed_names
from spear_accel.errors import UserError
from spear_accel.native import choose_kernel
from spear_accel.voice.entry_points import plugged_names
from spear_accel.voice.folder import VoiceFolder, list_shipped, open_voice


def info(
    voice: Annotated[
        str | None,
        typer.Argument(help="Name of a shipped or installed voice, or a voice folder.", show_default="list all names"),
    ] = None,
) -> None:
    """Show a voice (language, licence, rates, components, sizes) and check every file of it."""
    if voice is None:
        for name in dict.fromkeys((*list_shipped(), *plugged_names())):
            typer.echo(name)
        return
    folder = open_voice(voice)
    for name, value in (*_description(folder), *_plugged(), *_components(folder)):
        typer.echo(f"{name:<22}{value}")
    folder.verify()


def _description(folder: VoiceFolder) -> list[tuple[str, str]]:
    card, kernel = folder.card, choose_kernel()
    collapsed = ", repeats collapsed" if card.collapse_repeats else ""
    return [
        ("name", card.name),
        ("folder", str(folder.path)),
        ("language", card.language),
        ("text front end", card.front_end or "of the language"),
        ("licence", card.licence),
        ("semantic tokens", f"{card.frame_rate:g} a second{collapsed}"),
        ("sample rate", "none: ends at semantic tokens" if card.sample_rate is None else f"{card.sample_rate} Hz"),
        ("longest utterance", f"{card.longest_utterance} characters"),
        ("format version", str(card.format_version)),
        ("kernel", f"{kernel.name}: {kernel.reason}"),
    ]


def _plugged() -> list[tuple[str, str]]:
    """Methods and rules that other packages bring, for every voice."""
    return [(f"installed {kind}", ", ".join(names)) for kind, names in installed_names().items() if names]


def _components(folder: VoiceFolder) -> list[tuple[str, str]]:
    """Each file or folder of the voice with its size and soundness."""
    names = dict.fromkeys(name.split("/")[0] for name in folder.card.files)
    return [(name, _state(folder, name)) for name in names]


def _state(folder: VoiceFolder, component: str) -> str:
    """Size and soundness of one component."""
    paths = [folder.path / name for name in folder.card.files if name.split("/")[0] == component]
    size = sum(path.stat().st_size for path in paths if path.is_file())
    try:
        folder.part(component)
    except UserError:
        return f"{size / 1e6:.2f} MB, damaged"
    return f"{size / 1e6:.2f} MB, whole"
