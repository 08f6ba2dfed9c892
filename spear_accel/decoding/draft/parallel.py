"""Drafting with heads that say all tokens of a draft at once: linear prophet and Medusa."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from spear_accel.decoding.draft.base import Branches, Grows, Round
from spear_accel.decoding.draft.chain import draw_all
from spear_accel.decoding.draft.last_states import LastStates
from spear_accel.decoding.proposal import Proposal, Verdict
from spear_accel.heads import ParallelHead
from spear_accel.model import DecoderState

__all__ = ["ParallelDrafter"]


class ParallelDrafter:
    """See `Drafter` for the methods."""

    branches: Branches = "anywhere"
    grows: Grows = "whole"

    def __init__(self, head: ParallelHead, longest: int) -> None:
        """Never drafts more than the head has streams."""
        self.head, self.longest = head, min(longest, head.horizon)
        self._states = LastStates(head.first, 1)

    def reset(self, rows: int, capacity: int, text_capacity: int) -> None:
        """Nothing to size."""
        self._states.reset()

    def admit(self, state: DecoderState, texts: Tensor) -> None:
        self._states.admit(len(texts))

    def propose(self, current: Round) -> Proposal:
        if current.draft_length == 0:
            return Proposal.empty(current.state.rows, current.pending.device)
        logits = self.head(self._states.values[:, 0], current.pending[:, 0])
        return draw_all(current, logits)

    def keep(self, verdict: Verdict, hidden: Tensor) -> None:
        self._states.keep(verdict, hidden)

    def select(self, rows: Sequence[int]) -> None:
        self._states.select(rows)
