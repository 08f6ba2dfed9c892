"""Decoding: text ids -> semantic tokens, exactly and in batches.

The names below are loaded when they are first used, so that names of methods and rules (`registry.py`) cost no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spear_accel.decoding.engine import Engine
    from spear_accel.decoding.options import DecodeOptions
    from spear_accel.decoding.outputs import DecodeResult, RequestOutput, RequestResult
    from spear_accel.decoding.request import Request
    from spear_accel.decoding.sampling import SamplingParams
    from spear_accel.decoding.stats import DecodeStats
    from spear_accel.decoding.stopping import LengthBounds, LoopCriterion, StoppingCriteria

__all__ = [
    "DecodeOptions",
    "DecodeResult",
    "DecodeStats",
    "Engine",
    "LengthBounds",
    "LoopCriterion",
    "Request",
    "RequestOutput",
    "RequestResult",
    "SamplingParams",
    "StoppingCriteria",
]

_HOMES = {
    "DecodeOptions": "options",
    "DecodeResult": "outputs",
    "DecodeStats": "stats",
    "Engine": "engine",
    "LengthBounds": "stopping",
    "LoopCriterion": "stopping",
    "Request": "request",
    "RequestOutput": "outputs",
    "RequestResult": "outputs",
    "SamplingParams": "sampling",
    "StoppingCriteria": "stopping",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'spear_accel.decoding' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"spear_accel.decoding.{_HOMES[name]}"), name)
