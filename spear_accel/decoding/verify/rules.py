"""The verification rules by name."""

from __future__ import annotations

from spear_accel.decoding.options import BUILT_RULES, DecodeOptions
from spear_accel.decoding.verify.base import Verifier
from spear_accel.decoding.verify.coupled import Coupled
from spear_accel.decoding.verify.rejection import Lenient, Rejection

__all__ = ["LOSSY", "make_verifier"]

LOSSY = tuple(name for name in BUILT_RULES if name not in ("coupled", "rejection"))
"""Rules that change what is said."""


def make_verifier(options: DecodeOptions) -> Verifier:
    """The verifier that `options.verify` names."""
    if options.verify == "rejection":
        return Rejection()
    return Lenient(options.lenience) if options.verify == "lenient" else Coupled()
