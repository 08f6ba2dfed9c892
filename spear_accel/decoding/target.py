"""The target as the engine calls it: one pass over a proposal, with or without classifier-free guidance.

Holds the decoder states; knows neither rules nor schedules.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from spear_accel.decoding.context import DraftContext
from spear_accel.decoding.proposal import Proposal
from spear_accel.errors import UserError
from spear_accel.model import TextToSemantic, TreeMask

__all__ = ["GuidedTarget", "Target", "make_target"]


class Target:
    """One decoder state, which drafters see too."""

    def __init__(self, model: TextToSemantic, rows: int, capacity: int, text_capacity: int) -> None:
        """At most `rows` live rows of `capacity` semantic and `text_capacity` text ids."""
        self.model = model
        self.state = model.new_state(rows, capacity, text_capacity)

    def admit(self, texts: Tensor) -> None:
        """Add rows at position 0. texts: ids [n, X] as the encoder reads them."""
        self.model.admit(self.state, texts)

    def forward(self, context: DraftContext, proposal: Proposal) -> tuple[Tensor, Tensor]:
        """Hidden states [B, N + 1, D] before the final norm and logits [B, N + 1, V] at root and nodes."""
        decoder = self.model.decoder
        inputs = _block(context, proposal) if proposal.hidden is None else proposal.hidden
        tree = _tree_mask(proposal)
        hidden = decoder.forward(inputs, self.state, slice(proposal.layers, None), tree=tree)
        return hidden, decoder.logits(hidden)

    def keep(self, counts: Sequence[int], path: Tensor | None = None) -> None:
        """Commit the first counts[b] tokens of the last block of row b; path: int64 [B, P] where it has branches."""
        self.state.keep(counts, path)

    def select(self, rows: Sequence[int]) -> None:
        """Make live row rows[i] the new row i; all others leave."""
        self.state.select(rows)


class GuidedTarget(Target):
    """Classifier-free guidance (Ho & Salimans 2022): logits u + scale * (c - u), c with the text, u without it.

    Both branches run the whole block and roll back together; hidden states and drafts are those with the text.
    """

    def __init__(self, model: TextToSemantic, rows: int, capacity: int, text_capacity: int, scale: float) -> None:
        """Raises UserError where the model has nothing to read but the text."""
        if not model.config.null_kv:
            raise UserError("cond_scale needs a model with a null key and value; leave it at 1")
        super().__init__(model, rows, capacity, text_capacity)
        self.scale = scale
        self._blind = model.new_state(rows, capacity, 1)

    def admit(self, texts: Tensor) -> None:
        super().admit(texts)
        first = len(self.state.cross.lengths) - len(texts)
        null = self.state.cross.storage[:, :, first : first + len(texts), :, :1]
        self._blind.admit(null[0], null[1], [1] * len(texts))

    def forward(self, context: DraftContext, proposal: Proposal) -> tuple[Tensor, Tensor]:
        hidden, logits = super().forward(context, proposal)
        decoder = self.model.decoder
        block, tree = _block(context, proposal), _tree_mask(proposal)
        blind = decoder.logits(decoder.forward(block, self._blind, tree=tree))
        return hidden, blind + self.scale * (logits - blind)

    def keep(self, counts: Sequence[int], path: Tensor | None = None) -> None:
        super().keep(counts, path)
        self._blind.keep(counts, path)

    def select(self, rows: Sequence[int]) -> None:
        super().select(rows)
        self._blind.select(rows)


def make_target(model: TextToSemantic, rows: int, capacity: int, text_capacity: int, cond_scale: float) -> Target:
    """A plain target where `cond_scale` is 1, a guided one elsewhere."""
    if cond_scale == 1.0:
        return Target(model, rows, capacity, text_capacity)
    return GuidedTarget(model, rows, capacity, text_capacity, cond_scale)


def _block(context: DraftContext, proposal: Proposal) -> Tensor:
    return torch.cat((context.last_token, proposal.tokens), dim=1) if proposal.nodes else context.last_token


def _tree_mask(proposal: Proposal) -> TreeMask | None:
    return proposal.shape.on(proposal.tokens.device).mask
