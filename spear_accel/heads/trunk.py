"""What the decoder under the heads makes of whole utterances, teacher forced: all that training a head needs to see."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from spear_accel.model import TextToSemantic

__all__ = ["Trunk", "trunk_pass"]


@dataclass(frozen=True)
class Trunk:
    """One teacher-forced pass.

    inputs: int64 [B, T + 1], the start id and the tokens; input i is what the decoder reads to say token i.
    hidden: L + 1 tensors [B, T + 1, D], what entered the first layer and what left each.
    logits: [B, T + 1, V] of the decoder itself.
    keys, values: cross-attention [B, G, X', C] of each layer; mask: bool [B, 1, 1, X'] or None.
    """

    inputs: Tensor
    hidden: tuple[Tensor, ...]
    logits: Tensor
    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]
    mask: Tensor | None

    @property
    def final(self) -> Tensor:
        """What left the last layer, before the final norm, [B, T + 1, D]."""
        return self.hidden[-1]

    def detached(self) -> Trunk:
        """The same numbers, through which no gradient reaches the decoder."""
        return Trunk(
            self.inputs, tuple(h.detach() for h in self.hidden), self.logits.detach(),
            tuple(k.detach() for k in self.keys), tuple(v.detach() for v in self.values), self.mask,
        )  # fmt: skip


def trunk_pass(model: TextToSemantic, text: Tensor, semantic: Tensor) -> Trunk:
    """text: ids [B, X] padded with `text_pad_id`; semantic: units [B, T] padded with `semantic_pad_id`."""
    config, decoder = model.config, model.decoder
    memory = model.encode(text)
    inputs = F.pad(semantic.masked_fill(semantic == config.semantic_pad_id, 0), (1, 0), value=config.start_id)
    hidden = decoder.trace(decoder.embed(inputs), memory)
    keys, values = zip(*(layer.project(memory.hidden) for layer in decoder.stack), strict=True)
    mask = decoder.text_mask(memory.visible)
    return Trunk(inputs, tuple(hidden), decoder.logits(hidden[-1]), keys, values, mask)
