"""A voice's `decoding.json`: its own options, and under "tuning" the measured costs of the methods."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from spear_accel.decoding import DecodeOptions
from spear_accel.decoding.control.tuning import Tuning
from spear_accel.errors import UserError
from spear_accel.voice import components
from spear_accel.voice.folder import VoiceFolder, open_voice

__all__ = ["decoding_defaults", "load_decoding"]


def decoding_defaults(name: str | Path) -> DecodeOptions:
    """A voice's own options, without loading its weights. Raises UserError as `Voice.load`."""
    return load_decoding(open_voice(name))[0]


def load_decoding(folder: VoiceFolder) -> tuple[DecodeOptions, Tuning]:
    """Raises UserError naming what the file holds that is no option."""
    path, values = folder.path / "decoding.json", components.load_decoding_defaults(folder)
    known = {field.name for field in fields(DecodeOptions)}
    given = {key: value for key, value in values.items() if key != "tuning"}
    unknown = sorted(set(given) - known)
    if unknown:
        raise UserError(f"{path}: unknown option {', '.join(unknown)}; remove it")
    return DecodeOptions(**given), Tuning.from_dict(values.get("tuning", {}), str(path))
