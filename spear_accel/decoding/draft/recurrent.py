"""Drafting with the recurrent head: a cell that starts from the target's last hidden state and reads its own drafts.

Runs no layer of the target and keeps no cache. Each row's start follows its last *committed* position.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from spear_accel.decoding.draft.base import Branches, Grows, Round
from spear_accel.decoding.draft.chain import draw_one_by_one
from spear_accel.decoding.draft.last_states import LastStates
from spear_accel.decoding.proposal import Proposal, Verdict
from spear_accel.heads import Recurrent
from spear_accel.model import DecoderState

__all__ = ["RecurrentDrafter"]


class RecurrentDrafter:
    """See `Drafter` for the methods."""

    branches: Branches = "beside"
    grows: Grows = "tree"

    def __init__(self, head: Recurrent, longest: int) -> None:
        self.head, self.longest = head, longest
        self._states = LastStates(head.first, 1)

    def reset(self, rows: int, capacity: int, text_capacity: int) -> None:
        """Nothing to size."""
        self._states.reset()

    def admit(self, state: DecoderState, texts: Tensor) -> None:
        self._states.admit(len(texts))

    def propose(self, current: Round) -> Proposal:
        if current.draft_length == 0:
            return Proposal.empty(current.state.rows, current.pending.device)
        cell, cross = self.head.start(self._states.values), current.state.cross

        def step(token: Tensor) -> Tensor:
            nonlocal cell
            cell, logits = self.head.step(cell, token, cross)
            return logits

        def fork(places: list[int]) -> None:
            nonlocal cell
            cell = self.head.fork(cell, places)

        return draw_one_by_one(current, step, fork)

    def keep(self, verdict: Verdict, hidden: Tensor) -> None:
        self._states.keep(verdict, hidden)

    def select(self, rows: Sequence[int]) -> None:
        self._states.select(rows)
