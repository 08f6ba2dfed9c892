"""Decoding: text ids -> semantic tokens, exactly and in batches."""

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
