"""Decoding: text ids -> semantic tokens, exactly and in batches."""

from spear_accel.decoding.engine import Engine
from spear_accel.decoding.guards import Guards, LengthGuard, LoopGuard
from spear_accel.decoding.options import DecodeOptions
from spear_accel.decoding.stats import DecodeResult, DecodeStats

__all__ = ["DecodeOptions", "DecodeResult", "DecodeStats", "Engine", "Guards", "LengthGuard", "LoopGuard"]
