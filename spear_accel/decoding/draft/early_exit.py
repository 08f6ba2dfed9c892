"""Drafting with the target's own first layers and an exit head.

What the first E layers wrote to the cache, and the hidden states that left them, serve the verification: the target
call starts at layer E, and no layer below it runs twice for a token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from spear_accel.decoding.draft.base import Branches, Grows, Round
from spear_accel.decoding.draft.chain import draw_one_by_one
from spear_accel.decoding.proposal import Proposal, Verdict
from spear_accel.heads import EarlyExit
from spear_accel.model import DecoderState, KeyValueCache
from spear_accel.model.decoder import Decoder

__all__ = ["EarlyExitDrafter"]


class EarlyExitDrafter:
    """See `Drafter` for the methods. The head's blocks keep a cache as long as the target's.

    It does not branch: a candidate beside the chain would have to run through the first layers as well.
    """

    branches: Branches = "nowhere"
    grows: Grows = "chain"

    def __init__(self, head: EarlyExit, decoder: Decoder, longest: int) -> None:
        self.head, self.decoder, self.longest = head, decoder, longest
        self.layers = slice(0, head.config.exit_layer)
        self._dtype = head.projection.weight.dtype
        self._cache: KeyValueCache

    def reset(self, rows: int, capacity: int, text_capacity: int) -> None:
        self._cache = self.head.new_cache(rows, capacity)

    def admit(self, state: DecoderState, texts: Tensor) -> None:
        self._cache.admit(len(texts))

    def propose(self, current: Round) -> Proposal:
        """The last draft is run through the layers too: its states are verified, and its keys may stay."""
        state = current.state
        lengths, ones = list(state.lengths), [1] * state.rows
        left: list[Tensor] = []

        def run(token: Tensor) -> Tensor:
            left.append(self.decoder.forward(token, state, self.layers))
            hidden = self.head.step(left[-1].to(self._dtype), self._cache, state.cross)
            state.keep(ones)
            self._cache.keep(ones)
            return hidden

        if current.draft_length:
            proposal = draw_one_by_one(current, lambda token: self.head.logits(run(token)))
            run(proposal.tokens[:, -1:])
        else:
            proposal = Proposal.empty(state.rows, current.pending.device)
            run(current.pending)
        state.rewind(lengths)
        self._cache.rewind(lengths)
        return replace(proposal, hidden=torch.cat(left, dim=1), layers=self.layers.stop)

    def keep(self, verdict: Verdict, hidden: Tensor) -> None:
        self._cache.keep([count + 1 for count in verdict.accepted.tolist()])

    def select(self, rows: Sequence[int]) -> None:
        self._cache.select(rows)
