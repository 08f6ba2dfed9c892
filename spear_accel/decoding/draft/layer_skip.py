"""Drafting with the target itself, some of its blocks left out (Draft & Verify, Zhang et al. 2023, arXiv 2309.08168).

No training and no weights. Keys and values that a draft writes serve that draft alone: the verify call runs every block
on every drafted token and writes them anew.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from spear_accel.decoding.draft.base import Branches, Grows, Round
from spear_accel.decoding.draft.chain import draw_one_by_one
from spear_accel.decoding.proposal import Proposal, Verdict
from spear_accel.model import DecoderState, SkipSet
from spear_accel.model.decoder import Decoder

__all__ = ["LayerSkipDrafter"]


class LayerSkipDrafter:
    """See `Drafter` for the methods."""

    branches: Branches = "beside"
    grows: Grows = "comb"

    def __init__(self, decoder: Decoder, skip: SkipSet, longest: int) -> None:
        """Raises UserError where the skip set does not fit the decoder."""
        self.decoder, self.longest = decoder, longest
        self.skip = skip.check(decoder.config.decoder_layers)

    def reset(self, rows: int, capacity: int, text_capacity: int) -> None:
        """Nothing to size: drafts write to the target's own cache, behind the rows' lengths."""

    def admit(self, state: DecoderState, texts: Tensor) -> None:
        """Nothing to prepare."""

    def propose(self, current: Round) -> Proposal:
        state = current.state
        if current.draft_length == 0:
            return Proposal.empty(state.rows, current.pending.device)
        lengths, ones = list(state.lengths), [1] * state.rows

        def step(token: Tensor) -> Tensor:
            hidden = self.decoder.forward(token, state, skip=self.skip)
            state.keep(ones)
            return self.decoder.logits(hidden)

        proposal = draw_one_by_one(current, step)
        state.rewind(lengths)
        return proposal

    def keep(self, verdict: Verdict, hidden: Tensor) -> None:
        """Nothing to learn."""

    def select(self, rows: Sequence[int]) -> None:
        """Nothing to move."""
