"""The drafter that drafts nothing: with it the engine decodes autoregressively."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from spear_accel.decoding.context import DraftContext
from spear_accel.decoding.draft.base import Topology
from spear_accel.decoding.draft.spec import MethodSpec
from spear_accel.decoding.proposal import Proposal, Verdict
from spear_accel.model import DecoderState

__all__ = ["METHOD", "Autoregressive"]


class Autoregressive:
    """Empty proposals, no state. See `Drafter` for the methods."""

    longest = 0
    topology: Topology = "chain"
    autoregressive = False

    def reset(self, rows: int, capacity: int, text_capacity: int) -> None:
        """Nothing to size."""

    def add_rows(self, state: DecoderState, texts: Tensor) -> None:
        """Nothing to prepare."""

    def propose(self, context: DraftContext) -> Proposal:
        return Proposal.empty(context.state.rows, context.last_token.device)

    def commit(self, verdict: Verdict, hidden: Tensor) -> None:
        """Nothing to learn from a round."""

    def select(self, rows: Sequence[int]) -> None:
        """Nothing to move."""


METHOD = MethodSpec(
    "autoregressive", "nothing; one token per target call", lambda inputs: Autoregressive(), preference=0
)
