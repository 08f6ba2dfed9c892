"""Drafting with the prophet: a transformer that starts from the target's last hidden states and reads its own drafts.

Cf. EAGLE, Li et al. 2024, arXiv 2401.15077. Runs no layer of the target. Each row's start follows its last *committed*
position.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from spear_accel.decoding.context import DraftContext
from spear_accel.decoding.draft.base import Topology
from spear_accel.decoding.draft.chain import draft_stepwise
from spear_accel.decoding.draft.last_states import LastStates
from spear_accel.decoding.draft.spec import DrafterInputs, MethodSpec
from spear_accel.decoding.proposal import Proposal, Verdict
from spear_accel.heads.prophet import HEAD, Prophet
from spear_accel.model import DecoderState, KeyValueCache

__all__ = ["METHOD", "ProphetDrafter"]


class ProphetDrafter:
    """See `Drafter` for the methods."""

    topology: Topology = "comb"
    autoregressive = True

    def __init__(self, head: Prophet, longest: int) -> None:
        self.head, self.longest = head, longest
        self._states = LastStates(head.first, head.config.starts)
        self._cache: KeyValueCache

    def reset(self, rows: int, capacity: int, text_capacity: int) -> None:
        """The cache holds one round only."""
        self._cache = self.head.new_cache(rows, self.longest)
        self._states.reset()

    def add_rows(self, state: DecoderState, texts: Tensor) -> None:
        self._states.add_rows(len(texts))
        self._cache.admit(len(texts))

    def propose(self, context: DraftContext) -> Proposal:
        if context.draft_length == 0:
            return Proposal.empty(context.state.rows, context.last_token.device)
        starts, carried = self.head.start(self._states.values)
        rows = context.state.rows
        self._cache.rewind([0] * rows)

        def step(token: Tensor) -> Tensor:
            x = self.head.read(token, carried)
            if self._cache.lengths[0] == 0:
                x = torch.cat((starts, x), dim=1)
            hidden = self.head.step(x, self._cache, context.state.cross)
            self._cache.keep([x.shape[1]] * rows)
            return self.head.logits(hidden[:, -1:])

        return draft_stepwise(context, step)

    def commit(self, verdict: Verdict, hidden: Tensor) -> None:
        self._states.commit(verdict, hidden)

    def select(self, rows: Sequence[int]) -> None:
        self._states.select(rows)
        self._cache.rewind([0] * self._cache.rows)
        self._cache.select(rows)


def _make(inputs: DrafterInputs) -> ProphetDrafter:
    return ProphetDrafter(inputs.head_as(Prophet), inputs.longest)


METHOD = MethodSpec(
    "prophet", "a small transformer on the target's last hidden states", _make, needs="head", head=HEAD, preference=20
)
