"""The drafter that drafts nothing: with it the engine decodes autoregressively."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from spear_accel.decoding.draft.base import Branches, Grows, Round
from spear_accel.decoding.proposal import Proposal, Verdict
from spear_accel.model import DecoderState


class Autoregressive:
    """Empty proposals, no state. See `Drafter` for the methods."""

    longest = 0
    branches: Branches = "nowhere"
    grows: Grows = "whole"

    def reset(self, rows: int, capacity: int, text_capacity: int) -> None:
        """Nothing to size."""

    def admit(self, state: DecoderState, texts: Tensor) -> None:
        """Nothing to prepare."""

    def propose(self, current: Round) -> Proposal:
        return Proposal.empty(current.state.rows, current.pending.device)

    def keep(self, verdict: Verdict, hidden: Tensor) -> None:
        """Nothing to learn from a round."""

    def select(self, rows: Sequence[int]) -> None:
        """Nothing to move."""
