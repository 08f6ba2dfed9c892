"""The decoder in PyTorch operations: the reference of every other backend, on any device and in any precision."""

from __future__ import annotations

import torch
from torch import Tensor

from spear_accel.model.backend import SkipSet
from spear_accel.model.cache import DecoderState, TreeMask
from spear_accel.model.decoder import Decoder
from spear_accel.model.encoder import Encoder
from spear_accel.model.views import BlockViews

__all__ = ["TorchBackend"]

NOTHING = SkipSet()


class TorchBackend:
    """See `DecoderBackend` for the methods."""

    batch_invariant = False
    native = False

    def __init__(self, decoder: Decoder) -> None:
        self.decoder = decoder

    @property
    def precision(self) -> str:
        return str(self.cache_dtype).removeprefix("torch.")

    @property
    def cache_dtype(self) -> torch.dtype:
        return self.decoder.embedding.weight.dtype

    @property
    def text_cache_dtype(self) -> torch.dtype:
        return self.cache_dtype

    def forward(
        self,
        block: Tensor,
        state: DecoderState,
        layers: slice,
        skip: SkipSet | None,
        tree: TreeMask | None,
        collect: list[Tensor] | None,
    ) -> Tensor:
        decoder, cross, skip = self.decoder, state.cross, skip or NOTHING
        first, last, _ = layers.indices(decoder.config.decoder_layers)
        placed = state.own.place(block.shape[1], tree)
        views = BlockViews.of(state.own, placed, decoder.rotary_factors, decoder.relative)
        x = decoder.add_positions(decoder.embed(block), views.positions, state.added) if first == 0 else block
        for number, layer in enumerate(decoder.stack[first:last], first):
            if number not in skip.attention:
                x = layer.attend_cached(x, views, number)
                if collect is not None:
                    collect.append(self._text_weights(x, state, number))
                x = layer.attend_text(x, cross.keys[number], cross.values[number], cross.mask)
            if number not in skip.feed_forward:
                x = layer.feed(x)
        return x

    def read_text(self, encoder: Encoder, embedded: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
        return self.decoder.project(encoder(embedded, visible))

    def logits(self, hidden: Tensor) -> Tensor:
        return self.decoder.project_output(hidden)

    def _text_weights(self, x: Tensor, state: DecoderState, number: int) -> Tensor:
        """What x [B, T, D] attends to in the text, without the null slot: [B, H, T, X]."""
        null = int(self.decoder.config.null_kv)
        mask = None if state.cross.mask is None else state.cross.mask[..., null:]
        return self.decoder.stack[number].text_weights(x, state.cross.keys[number][:, :, null:], mask)
