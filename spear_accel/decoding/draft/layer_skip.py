"""Drafting with the target itself, some of its blocks left out (Draft & Verify, Zhang et al. 2023, arXiv 2309.08168).

No training and no weights. Keys and values that a draft writes serve that draft alone: the verify call runs every block
on every drafted token and writes them anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from spear_accel.decoding.draft.base import Branches, Grows, Round
from spear_accel.decoding.draft.chain import draw_one_by_one
from spear_accel.decoding.proposal import Proposal, Verdict
from spear_accel.errors import UserError
from spear_accel.model import DecoderState
from spear_accel.model.decoder import Decoder

__all__ = ["LayerSkipDrafter", "SkipSet"]


@dataclass(frozen=True)
class SkipSet:
    """Layers, from 0, whose blocks a draft leaves out."""

    attention: tuple[int, ...] = ()
    """Self- and cross-attention."""
    feed_forward: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for name in ("attention", "feed_forward"):
            object.__setattr__(self, name, tuple(sorted(set(getattr(self, name)))))

    def check(self, layers: int) -> SkipSet:
        """Raises UserError where a layer is not there, or nothing would be left to run."""
        wrong = [layer for layer in (*self.attention, *self.feed_forward) if not 0 <= layer < layers]
        if wrong:
            raise UserError(f"skip set: layer {wrong[0]} is not there; the decoder has 0 to {layers - 1}")
        if len(self.attention) == layers:
            raise UserError("skip set: it leaves out every attention block; a draft must read something")
        return self


class LayerSkipDrafter:
    """See `Drafter` for the methods."""

    branches: Branches = "beside"
    grows: Grows = "comb"

    def __init__(self, decoder: Decoder, skip: SkipSet, longest: int) -> None:
        """Raises UserError where the skip set does not fit the decoder."""
        skip.check(decoder.config.decoder_layers)
        self.decoder, self.longest = decoder, longest
        self._attends = [layer not in skip.attention for layer in range(decoder.config.decoder_layers)]
        self._feeds = [layer not in skip.feed_forward for layer in range(decoder.config.decoder_layers)]

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
            hidden = self._run(token, state)
            state.keep(ones)
            return self.decoder.logits(hidden)

        proposal = draw_one_by_one(current, step)
        state.rewind(lengths)
        return proposal

    def keep(self, verdict: Verdict, hidden: Tensor) -> None:
        """Nothing to learn."""

    def select(self, rows: Sequence[int]) -> None:
        """Nothing to move."""

    def _run(self, tokens: Tensor, state: DecoderState) -> Tensor:
        """`Decoder.forward` without the blocks that are skipped."""
        placement = state.own.place(tokens.shape[1], self.decoder.turns)
        x = self.decoder.place(self.decoder.embed(tokens), placement.positions, state.added)
        for number, layer in enumerate(self.decoder.stack):
            if self._attends[number]:
                x = x + layer.attention.step(layer.attention_norm(x), placement, number)
                keys, values = state.cross.keys[number], state.cross.values[number]
                x = x + layer.cross(layer.cross_norm(x), keys, values, state.cross.mask)
            if self._feeds[number]:
                x = x + layer.feed_forward(layer.feed_forward_norm(x))
        return x
