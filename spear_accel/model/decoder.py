"""The decoder: semantic tokens and encoded text -> hidden states -> logits.

Two paths over the same weights: `teach` runs whole sequences without a cache, `forward` runs any slice of
layers for any number of new tokens per row on a `DecoderState`. Knows nothing about sampling or drafting.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spear_accel.model.attention import CrossAttention, SelfAttention
from spear_accel.model.cache import DecoderState, Placement
from spear_accel.model.config import TextToSemanticConfig
from spear_accel.model.layers import EMBEDDING_STD, FeedForward, RMSNorm, RotaryTable, drop

ALL_LAYERS = slice(None)


class DecoderLayer(nn.Module):
    """Pre-norm self-attention, cross-attention and feed-forward. [B, T, D] -> [B, T, D]."""

    def __init__(self, config: TextToSemanticConfig) -> None:
        super().__init__()
        gain = (3 * config.decoder_layers) ** -0.5
        self.attention_norm = RMSNorm(config.dim, config.norm_eps)
        self.attention = SelfAttention(config, gain)
        self.cross_norm = RMSNorm(config.dim, config.norm_eps)
        self.cross = CrossAttention(config, gain)
        self.feed_forward_norm = RMSNorm(config.dim, config.norm_eps)
        self.feed_forward = FeedForward(config.dim, config.ff_inner, config.dropout, gain)
        self.dropout = config.dropout

    def teach(self, x: Tensor, turns: Tensor, memory: Tensor, visible: Tensor | None) -> Tensor:
        """Whole causal sequence x [B, T, D]; memory [B, X, D]; visible: bool [B, 1, 1, X'] or None."""
        branch = self.attention(self.attention_norm(x), turns, causal=True)
        x = x + drop(branch, self.dropout, self.training)
        return self._read(x, *self.cross.project(memory), visible)

    def forward(self, x: Tensor, placement: Placement, state: DecoderState, layer: int) -> Tensor:
        """New tokens x [B, T, D] on the caches of `layer`, this layer's number in `state`."""
        x = x + self.attention.step(self.attention_norm(x), placement, layer)
        return self._read(x, state.cross.keys[layer], state.cross.values[layer], state.cross.mask)

    def _read(self, x: Tensor, keys: Tensor, values: Tensor, visible: Tensor | None) -> Tensor:
        branch = self.cross(self.cross_norm(x), keys, values, visible)
        x = x + drop(branch, self.dropout, self.training)
        branch = self.feed_forward(self.feed_forward_norm(x))
        return x + drop(branch, self.dropout, self.training)


class Decoder(nn.Module):
    """Causal stack of `DecoderLayer` with its input embedding, which is also the output projection."""

    def __init__(self, config: TextToSemanticConfig) -> None:
        super().__init__()
        self.config = config
        # One row more than the logits: the last is the start vector, read at position 0, never predicted.
        self.embedding = nn.Embedding(config.vocab + 1, config.dim)
        nn.init.normal_(self.embedding.weight, std=EMBEDDING_STD)
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.decoder_layers))
        self.final_norm = RMSNorm(config.dim, config.norm_eps)
        self.rotary = RotaryTable(config.max_positions, config.head_dim, config.rotary_theta)

    @property
    def stack(self) -> list[DecoderLayer]:
        return cast("list[DecoderLayer]", [*self.layers])

    def embed(self, tokens: Tensor) -> Tensor:
        """Semantic ids (units, EOS or the start id) [B, T] -> [B, T, D]."""
        return F.embedding(tokens, self.embedding.weight) * self.config.embedding_scale

    def project(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Cross-attention keys and values of every layer from encoded text [B, X, D]: [L, B, G, X', C]."""
        pairs = [layer.cross.project(memory) for layer in self.stack]
        keys, values = zip(*pairs, strict=True)
        return torch.stack(keys), torch.stack(values)

    def teach(self, tokens: Tensor, memory: Tensor, visible: Tensor) -> Tensor:
        """Teacher-forced pass without a cache. tokens [B, T]; memory [B, X, D]; visible: bool [B, X].

        Returns hidden states [B, T, D] before the final norm; position t has seen tokens 0 .. t.
        """
        if self.config.null_kv:
            visible = F.pad(visible, (1, 0), value=True)
        mask = None if bool(visible.all()) else visible[:, None, None]
        x = drop(self.embed(tokens), self.config.dropout, self.training)
        turns = self.rotary.turns[: tokens.shape[1]]
        for layer in self.stack:
            x = layer.teach(x, turns, memory, mask)
        return x

    def forward(
        self,
        inputs: Tensor,
        state: DecoderState,
        layers: slice = ALL_LAYERS,
        placement: Placement | None = None,
    ) -> Tensor:
        """Run layers [i:j) for T new tokens of every live row, writing the cache at lengths[b] + i.

        inputs: ids [B, T] where the slice starts at layer 0, else the hidden states [B, T, D] that left
        layer i - 1. Lengths do not move: `state.keep` commits what should stay. `placement` may be passed
        on from an earlier call on the same block. Run it under `torch.no_grad` or `inference_mode`.
        Returns hidden states [B, T, D] before the final norm.
        """
        first, last, _ = layers.indices(self.config.decoder_layers)
        if placement is None:
            placement = state.own.place(inputs.shape[1], self.rotary.turns)
        x = self.embed(inputs) if first == 0 else inputs
        for number, layer in enumerate(self.stack[first:last], first):
            x = layer(x, placement, state, number)
        return x

    def logits(self, hidden: Tensor) -> Tensor:
        """Final hidden states [B, T, D] -> logits [B, T, V]."""
        return F.linear(self.final_norm(hidden), self.embedding.weight[: self.config.vocab])
