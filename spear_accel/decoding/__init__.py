"""Decoding: text ids -> semantic tokens, exactly and in batches."""

from spear_accel.decoding.engine import Engine
from spear_accel.decoding.guards import Guards, LengthGuard, LoopGuard
from spear_accel.decoding.options import DecodeOptions
from spear_accel.decoding.outputs import DecodeResult, RequestOutput, RequestResult
from spear_accel.decoding.request import Request
from spear_accel.decoding.sampling import SamplingParams
from spear_accel.decoding.stats import DecodeStats

__all__ = [
    "DecodeOptions",
    "DecodeResult",
    "DecodeStats",
    "Engine",
    "Guards",
    "LengthGuard",
    "LoopGuard",
    "Request",
    "RequestOutput",
    "RequestResult",
    "SamplingParams",
]
