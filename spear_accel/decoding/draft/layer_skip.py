"""Drafting with the target itself, some of its blocks left out (Draft & Verify, Zhang et al. 2023, arXiv 2309.08168).

No training and no weights. Keys and values that a draft writes serve that draft alone: the verify call runs every block
on every drafted token and writes them anew.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from spear_accel.decoding.context import DraftContext
from spear_accel.decoding.draft.base import Topology
from spear_accel.decoding.draft.chain import draft_stepwise
from spear_accel.decoding.draft.spec import DrafterInputs, MethodSpec
from spear_accel.decoding.proposal import Proposal, Verdict
from spear_accel.model import DecoderState, SkipSet
from spear_accel.model.decoder import Decoder

__all__ = ["METHOD", "LayerSkipDrafter"]


class LayerSkipDrafter:
    """See `Drafter` for the methods."""

    topology: Topology = "comb"
    autoregressive = True

    def __init__(self, decoder: Decoder, skip: SkipSet, longest: int) -> None:
        """Raises UserError where the skip set does not fit the decoder."""
        self.decoder, self.longest = decoder, longest
        self.skip = skip.check(decoder.config.decoder_layers)

    def reset(self, rows: int, capacity: int, text_capacity: int) -> None:
        """Nothing to size: drafts write to the target's own cache, behind the rows' lengths."""

    def add_rows(self, state: DecoderState, texts: Tensor) -> None:
        """Nothing to prepare."""

    def propose(self, context: DraftContext) -> Proposal:
        state = context.state
        if context.draft_length == 0:
            return Proposal.empty(state.rows, context.last_token.device)
        lengths, ones = list(state.lengths), [1] * state.rows

        def step(token: Tensor) -> Tensor:
            hidden = self.decoder.forward(token, state, skip=self.skip)
            state.keep(ones)
            return self.decoder.logits(hidden)

        proposal = draft_stepwise(context, step)
        state.rewind(lengths)
        return proposal

    def commit(self, verdict: Verdict, hidden: Tensor) -> None:
        """Nothing to learn."""

    def select(self, rows: Sequence[int]) -> None:
        """Nothing to move."""


def _make(inputs: DrafterInputs) -> LayerSkipDrafter:
    assert inputs.skip is not None
    return LayerSkipDrafter(inputs.model.decoder, inputs.skip, inputs.longest)


METHOD = MethodSpec("layer-skip", "the target without some of its blocks", _make, needs="skip set", preference=70)
