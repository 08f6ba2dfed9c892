"""The verification rules by name."""

from __future__ import annotations

from torch import Tensor

from spear_accel.decoding.options import RULES, DecodeOptions
from spear_accel.decoding.verify.base import Verifier
from spear_accel.decoding.verify.coupled import Coupled
from spear_accel.decoding.verify.grouped import Grouped
from spear_accel.decoding.verify.kseq import KSeq
from spear_accel.decoding.verify.rejection import Lenient, Rejection
from spear_accel.decoding.verify.typical import Typical
from spear_accel.errors import UserError

__all__ = ["LOSSY", "make_verifier"]

_PLAIN: dict[str, type[Verifier]] = {"coupled": Coupled, "rejection": Rejection, "k-seq": KSeq, "typical": Typical}
LOSSY = tuple(name for name in RULES if name not in ("coupled", "rejection", "k-seq"))
"""Rules that change what is said."""


def make_verifier(options: DecodeOptions, groups: Tensor | None = None) -> Verifier:
    """The verifier that `options.verify` names. groups: bool [G, V], for the rule "grouped".

    Raises UserError: "grouped" without groups.
    """
    if options.verify == "lenient":
        return Lenient(options.lenience)
    if options.verify == "grouped":
        if groups is None:
            raise UserError("verify 'grouped' needs the centroids of the voice's speech tokenizer; take another rule")
        return Grouped(groups)
    return _PLAIN[options.verify]()
