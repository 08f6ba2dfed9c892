"""Fast text-to-semantic speech synthesis: a Spear-TTS voice with speculative decoding.

The names below are loaded when they are first used, so that `import spear_accel` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spear_accel.decoding import DecodeOptions, Request, SamplingParams
    from spear_accel.voice.speech import Speech
    from spear_accel.voice.voice import Voice

__version__ = "0.1.0"
__all__ = ["DecodeOptions", "Request", "SamplingParams", "Speech", "Voice", "__version__"]

_HOMES = {
    "DecodeOptions": "spear_accel.decoding",
    "Request": "spear_accel.decoding",
    "SamplingParams": "spear_accel.decoding",
    "Speech": "spear_accel.voice.speech",
    "Voice": "spear_accel.voice.voice",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'spear_accel' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
