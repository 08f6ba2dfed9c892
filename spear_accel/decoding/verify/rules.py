"""The verification rules by name."""

from __future__ import annotations

from spear_accel.decoding.options import BUILT_RULES, DecodeOptions
from spear_accel.decoding.verify.base import Verifier
from spear_accel.decoding.verify.coupled import Coupled
from spear_accel.decoding.verify.kseq import KSeq
from spear_accel.decoding.verify.rejection import Lenient, Rejection

__all__ = ["LOSSY", "make_verifier"]

_PLAIN: dict[str, type[Verifier]] = {"coupled": Coupled, "rejection": Rejection, "k-seq": KSeq}
LOSSY = tuple(name for name in BUILT_RULES if name not in _PLAIN)
"""Rules that change what is said."""


def make_verifier(options: DecodeOptions) -> Verifier:
    """The verifier that `options.verify` names."""
    if options.verify == "lenient":
        return Lenient(options.lenience)
    return _PLAIN[options.verify]()
