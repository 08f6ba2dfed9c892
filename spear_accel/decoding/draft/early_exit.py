"""Drafting with the target's own first layers and an exit head (cf. LayerSkip, Elhoushi et al. 2024, arXiv 2404.16710,
and Kangaroo, Liu et al. 2024, arXiv 2404.18911).

What the first E layers wrote to the cache, and the hidden states that left them, serve the verification: the target
call starts at layer E, and no layer below it runs twice for a token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from spear_accel.decoding.context import DraftContext
from spear_accel.decoding.draft.base import Topology
from spear_accel.decoding.draft.chain import draft_stepwise
from spear_accel.decoding.draft.spec import DrafterInputs, MethodSpec
from spear_accel.decoding.proposal import Proposal, Verdict
from spear_accel.heads.early_exit import HEAD, EarlyExit
from spear_accel.model import DecoderState, KeyValueCache
from spear_accel.model.decoder import Decoder

__all__ = ["METHOD", "EarlyExitDrafter"]


class EarlyExitDrafter:
    """See `Drafter` for the methods. The head's blocks keep a cache as long as the target's.

    It does not branch: a candidate beside the chain would have to run through the first layers as well.
    """

    topology: Topology = "chain"
    autoregressive = True

    def __init__(self, head: EarlyExit, decoder: Decoder, longest: int) -> None:
        self.head, self.decoder, self.longest = head, decoder, longest
        self.layers = slice(0, head.config.exit_layer)
        self._dtype = head.projection.weight.dtype
        self.cache: KeyValueCache

    def reset(self, rows: int, capacity: int, text_capacity: int) -> None:
        self.cache = self.head.new_cache(rows, capacity)

    def add_rows(self, state: DecoderState, texts: Tensor) -> None:
        self.cache.admit(len(texts))

    def propose(self, context: DraftContext) -> Proposal:
        """The last draft is run through the layers too: its states are verified, and its keys may stay."""
        state = context.state
        lengths, ones = list(state.lengths), [1] * state.rows
        left: list[Tensor] = []

        def run(token: Tensor) -> Tensor:
            left.append(self.decoder.forward(token, state, self.layers))
            hidden = self.head.step(left[-1].to(self._dtype), self.cache, state.cross)
            state.keep(ones)
            self.cache.keep(ones)
            return hidden

        if context.draft_length:
            proposal = draft_stepwise(context, lambda token: self.head.logits(run(token)))
            run(proposal.tokens[:, -1:])
        else:
            proposal = Proposal.empty(state.rows, context.last_token.device)
            run(context.last_token)
        state.rewind(lengths)
        self.cache.rewind(lengths)
        return replace(proposal, hidden=torch.cat(left, dim=1), layers=self.layers.stop)

    def commit(self, verdict: Verdict, hidden: Tensor) -> None:
        self.cache.keep([count + 1 for count in verdict.accepted.tolist()])

    def select(self, rows: Sequence[int]) -> None:
        self.cache.select(rows)


def _make(inputs: DrafterInputs) -> EarlyExitDrafter:
    return EarlyExitDrafter(inputs.head_as(EarlyExit), inputs.model.decoder, inputs.longest)


METHOD = MethodSpec(
    "early-exit", "the target's first layers and an exit head", _make, needs="head", head=HEAD, preference=50
)
