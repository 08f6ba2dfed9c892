"""The verification contract. Knows proposals and probabilities, never a model."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from spear_accel.decoding.noise import RowNoise
from spear_accel.decoding.proposal import Proposal, Verdict


class Verifier(Protocol):
    """Decides how much of a proposal is committed."""

    lossless: bool
    """Whether the committed tokens follow the target's law exactly."""

    def verify(self, proposal: Proposal, log_p: Tensor, noise: RowNoise) -> Verdict:
        """log_p: float32 [B, N + 1, V], the target's law after the root (0) and after each node i (i + 1)."""
