"""A voice's `decoding.json`: its own options, and under "tuning" the measured costs of the methods.

What a draft costs depends on what computes, so each way of computing has a tuning of its own: "native int8", "torch
float32". A file with one tuning, and no such names in it, is of a time when there was PyTorch only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from spear_accel.decoding import DecodeOptions
from spear_accel.decoding.control.tuning import Tuning
from spear_accel.errors import UserError
from spear_accel.model import TextToSemantic
from spear_accel.voice import components
from spear_accel.voice.folder import VoiceFolder, open_voice

__all__ = ["computing", "decoding_defaults", "load_decoding", "load_tuning", "with_tuning"]

_ONLY = "torch float32"


def decoding_defaults(name: str | Path) -> DecodeOptions:
    """A voice's own options, without loading its weights. Raises UserError as `Voice.load`."""
    return load_decoding(open_voice(name))


def load_decoding(folder: VoiceFolder) -> DecodeOptions:
    """Raises UserError naming what the file holds that is no option."""
    path, values = folder.path / "decoding.json", components.load_decoding_defaults(folder)
    known = {field.name for field in fields(DecodeOptions)}
    given = {key: value for key, value in values.items() if key != "tuning"}
    unknown = sorted(set(given) - known)
    if unknown:
        raise UserError(f"{path}: unknown option {', '.join(unknown)}; remove it")
    return DecodeOptions(**given)


def computing(model: TextToSemantic) -> str:
    """What a tuning of this model is called: what computes it, and in which precision."""
    backend = model.decoder.backend
    return f"{'native' if backend.native else 'torch'} {backend.precision}"


def load_tuning(folder: VoiceFolder, model: TextToSemantic) -> Tuning:
    """The tuning for what computes `model` here, or else the nearest: of the same kind, then any.

    Raises:
        UserError: It is damaged.
    """
    path, wanted = str(folder.path / "decoding.json"), computing(model)
    try:
        known = _tunings(components.load_decoding_defaults(folder))
    except (TypeError, ValueError) as error:
        raise UserError(f"{path}: the tuning is damaged ({error}); measure it again") from error
    if not known:
        return Tuning()
    nearest = max(known, key=lambda name: (name == wanted, name.split()[0] == wanted.split()[0]))
    return Tuning.from_dict(known[nearest], path)


def with_tuning(values: Mapping[str, Any], model: TextToSemantic, tuning: Tuning) -> dict[str, Any]:
    """What decoding.json holds, with another tuning for what computes `model` here."""
    return {**values, "tuning": {**_tunings(values), computing(model): tuning.to_dict()}}


def _tunings(values: Mapping[str, Any]) -> dict[str, Any]:
    held = values.get("tuning", {})
    return {_ONLY: held} if "methods" in held else dict(held)
