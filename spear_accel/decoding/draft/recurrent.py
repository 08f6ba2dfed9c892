"""Drafting with the recurrent head: a cell that starts from the target's last hidden state and reads its own drafts.

After "Recurrent Drafter", Zhang et al. 2024, arXiv 2403.09919. Runs no layer of the target and keeps no cache. Each
row's start follows its last *committed* position.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from spear_accel.decoding.context import DraftContext
from spear_accel.decoding.draft.base import Topology
from spear_accel.decoding.draft.chain import draft_stepwise
from spear_accel.decoding.draft.last_states import LastStates
from spear_accel.decoding.draft.spec import DrafterInputs, MethodSpec
from spear_accel.decoding.proposal import Proposal, Verdict
from spear_accel.heads.recurrent import HEAD, Recurrent
from spear_accel.model import DecoderState

__all__ = ["METHOD", "RecurrentDrafter"]


class RecurrentDrafter:
    """See `Drafter` for the methods."""

    topology: Topology = "tree"
    autoregressive = True

    def __init__(self, head: Recurrent, longest: int) -> None:
        self.head, self.longest = head, longest
        self._states = LastStates(head.first, 1)

    def reset(self, rows: int, capacity: int, text_capacity: int) -> None:
        """Nothing to size."""
        self._states.reset()

    def add_rows(self, state: DecoderState, texts: Tensor) -> None:
        self._states.add_rows(len(texts))

    def propose(self, context: DraftContext) -> Proposal:
        if context.draft_length == 0:
            return Proposal.empty(context.state.rows, context.last_token.device)
        cell, cross = self.head.start(self._states.values), context.state.cross

        def step(token: Tensor) -> Tensor:
            nonlocal cell
            cell, logits = self.head.step(cell, token, cross)
            return logits

        def branch(places: list[int]) -> None:
            nonlocal cell
            cell = self.head.fork(cell, places)

        return draft_stepwise(context, step, branch)

    def commit(self, verdict: Verdict, hidden: Tensor) -> None:
        self._states.commit(verdict, hidden)

    def select(self, rows: Sequence[int]) -> None:
        self._states.select(rows)


def _make(inputs: DrafterInputs) -> RecurrentDrafter:
    return RecurrentDrafter(inputs.head_as(Recurrent), inputs.longest)


METHOD = MethodSpec(
    "recurrent", "a recurrent cell on the target's last hidden state", _make, needs="head", head=HEAD, preference=10
)
