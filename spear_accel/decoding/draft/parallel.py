"""Drafting with heads that predict all tokens of a draft at once: linear prophet (after ProphetNet, Qi et al. 2020) and
Medusa (Cai et al. 2024, arXiv 2401.10774)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from spear_accel.decoding.context import DraftContext
from spear_accel.decoding.draft.base import Topology
from spear_accel.decoding.draft.chain import draft_parallel
from spear_accel.decoding.draft.last_states import LastStates
from spear_accel.decoding.draft.spec import DrafterInputs, MethodSpec
from spear_accel.decoding.proposal import Proposal, Verdict
from spear_accel.heads import medusa, prophet_linear
from spear_accel.heads.parallel import ParallelHead
from spear_accel.model import DecoderState

__all__ = ["MEDUSA", "PROPHET_LINEAR", "ParallelDrafter"]


class ParallelDrafter:
    """See `Drafter` for the methods."""

    topology: Topology = "tree"
    autoregressive = False

    def __init__(self, head: ParallelHead, longest: int) -> None:
        """Never drafts more than the head has streams."""
        self.head, self.longest = head, min(longest, head.horizon)
        self._states = LastStates(head.first, 1)

    def reset(self, rows: int, capacity: int, text_capacity: int) -> None:
        """Nothing to size."""
        self._states.reset()

    def add_rows(self, state: DecoderState, texts: Tensor) -> None:
        self._states.add_rows(len(texts))

    def propose(self, context: DraftContext) -> Proposal:
        if context.draft_length == 0:
            return Proposal.empty(context.state.rows, context.last_token.device)
        logits = self.head(self._states.values[:, 0], context.last_token[:, 0])
        return draft_parallel(context, logits)

    def commit(self, verdict: Verdict, hidden: Tensor) -> None:
        self._states.commit(verdict, hidden)

    def select(self, rows: Sequence[int]) -> None:
        self._states.select(rows)


def _make(inputs: DrafterInputs) -> ParallelDrafter:
    return ParallelDrafter(inputs.head_as(ParallelHead), inputs.longest)


PROPHET_LINEAR = MethodSpec(
    "prophet-linear", "one projection to several future tokens", _make, needs="head", head=prophet_linear.HEAD,
    preference=30,
)  # fmt: skip
MEDUSA = MethodSpec(
    "medusa", "a head for each future token", _make, needs="head", head=medusa.HEAD, preference=40
)  # fmt: skip
