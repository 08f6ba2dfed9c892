"""How a verification rule is described: what it is called, what it keeps, which drafts it reads, and how it is made.

The rules of this package and those of installed packages are described alike; see `decoding/registry.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from spear_accel.decoding.options import DecodeOptions
from spear_accel.decoding.verify.base import Verifier

__all__ = ["RuleInputs", "RuleSpec"]


@dataclass(frozen=True)
class RuleInputs:
    """What a rule can be made from."""

    options: DecodeOptions
    vocab: int = 0
    """V, tokens of the target."""
    centroids: Callable[[], Tensor] | None = None
    """Loads the centroids of the speech tokenizer, float [units, D]; None where the voice has none."""


@dataclass(frozen=True)
class RuleSpec:
    """A way to verify drafts."""

    name: str
    """As in `DecodeOptions.verify`."""
    summary: str
    """One line for listings: when a draft token is accepted."""
    lossless: bool
    """Whether the output is distributed exactly as the target's."""
    make: Callable[[RuleInputs], Verifier]
    drafts: Literal["chain", "tree", "independent"] = "chain"
    """What it reads: one candidate at a depth; trees of candidates that share the target's noise; or several chains,
    each drawn with noise of its own."""
    accepts_draws: bool = False
    """Whether a token is accepted if and only if it is the target's own draw by the shared noise. Then the gaps between
    draft scores predict acceptance, and dynamic draft trees serve the rule."""
