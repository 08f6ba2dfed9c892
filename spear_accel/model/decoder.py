"""The decoder: semantic tokens and encoded text -> hidden states -> logits.

Two paths over the same weights: `teach` runs whole sequences without a cache, `forward` runs any slice of
layers for any number of new tokens per row on a `DecoderState`. Knows nothing about sampling or drafting.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spear_accel.kernels.projection import PackedWeight, Projection
from spear_accel.model.attention import CrossAttention, CrossReader, SelfAttention
from spear_accel.model.cache import Branching, CrossCache, DecoderState, Placement
from spear_accel.model.config import TextToSemanticConfig
from spear_accel.model.layers import (
    EMBEDDING_STD,
    FixedTable,
    drop,
    make_feed_forward,
    make_norm,
    rotary_table,
    sinusoid_table,
)

ALL_LAYERS = slice(None)


@dataclass(frozen=True)
class Memory:
    """Encoded input. hidden: [B, X, D]; visible: bool [B, X], false at padding; added: [B, 1, D] or None, what each row
    adds to every input of the decoder."""

    hidden: Tensor
    visible: Tensor
    added: Tensor | None = None


class DecoderLayer(nn.Module):
    """Pre-norm self-attention, cross-attention and feed-forward. [B, T, D] -> [B, T, D]."""

    def __init__(self, config: TextToSemanticConfig, own_memory: bool = True) -> None:
        """own_memory: whether the layer projects its own keys and values of the text; draft heads borrow a layer's."""
        super().__init__()
        gain = (3 * config.decoder_layers) ** -0.5
        self.attention_norm = make_norm(config)
        self.attention = SelfAttention(config, gain)
        self.cross_norm = make_norm(config)
        self.cross = CrossAttention(config, gain) if own_memory else CrossReader(config, gain)
        self.feed_forward_norm = make_norm(config)
        self.feed_forward = make_feed_forward(config, gain)
        self.dropout = config.dropout

    def project(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Cross-attention keys and values of encoded text [B, X, D]: [B, G, X', C] each."""
        return cast("CrossAttention", self.cross).project(memory)

    def attend(self, x: Tensor, turns: Tensor | None) -> Tensor:
        """Causal self-attention over whole sequences x [B, T, D]."""
        branch = self.attention(self.attention_norm(x), turns, causal=True)
        return x + drop(branch, self.dropout, self.training)

    def read(self, x: Tensor, keys: Tensor, values: Tensor, visible: Tensor | None) -> Tensor:
        """Cross-attention and feed-forward, each position by itself. visible: bool [B, 1, 1, X'] or None."""
        branch = self.cross(self.cross_norm(x), keys, values, visible)
        x = x + drop(branch, self.dropout, self.training)
        branch = self.feed_forward(self.feed_forward_norm(x))
        return x + drop(branch, self.dropout, self.training)

    def step(self, x: Tensor, placement: Placement, layer: int, cross: CrossCache, source: int) -> Tensor:
        """New tokens x [B, T, D]. `layer`: where `placement` holds this layer's cache; `source`: the layer whose
        keys and values of the text it reads in `cross`."""
        x = x + self.attention.step(self.attention_norm(x), placement, layer)
        return self.read(x, cross.keys[source], cross.values[source], cross.mask)


class Decoder(nn.Module):
    """Causal stack of `DecoderLayer` with its input embedding, which is also the output projection."""

    def __init__(self, config: TextToSemanticConfig) -> None:
        super().__init__()
        self.config = config
        # One row more than the logits: the last is the start vector, read at position 0, never predicted.
        self.embedding = nn.Embedding(config.vocab + 1, config.dim)
        nn.init.normal_(self.embedding.weight, std=EMBEDDING_STD)
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.decoder_layers))
        self.final_norm = make_norm(config)
        self._output = PackedWeight()
        self.output = None if config.tied_output else Projection(config.dim, config.vocab, bias=True)
        self.rotary = self.positions = None
        if config.positions == "rotary":
            self.rotary = FixedTable(rotary_table(config.max_positions, config.head_dim, config.rotary_theta))
        else:
            self.positions = nn.Parameter(EMBEDDING_STD * torch.randn(config.max_positions, config.dim))
        self.times = (
            FixedTable(sinusoid_table(config.max_positions, config.dim, 1 / config.pace)) if config.pace else None
        )

    @property
    def stack(self) -> list[DecoderLayer]:
        return cast("list[DecoderLayer]", [*self.layers])

    def embed(self, tokens: Tensor) -> Tensor:
        """Semantic ids (units, EOS or the start id) [B, T] -> [B, T, D]."""
        return F.embedding(tokens, self.embedding.weight) * self.config.embedding_scale

    @property
    def turns(self) -> Tensor | None:
        """Rotary factors of every position, if the model has any."""
        return None if self.rotary is None else self.rotary.values

    def place(self, embedded: Tensor, slots: slice | Tensor, added: Tensor | None = None) -> Tensor:
        """Add the positions of `slots` (of [T] or [B, T] tokens), and what each row adds [B, 1, D], to [B, T, D]."""
        if self.times is not None:
            embedded = embedded + self.times.values[slots].to(embedded.dtype)
        if self.positions is not None:
            embedded = embedded + self.positions[slots]
        return embedded if added is None else embedded + added

    def project(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Cross-attention keys and values of every layer from encoded text [B, X, D]: [L, B, G, X', C]."""
        pairs = [layer.project(memory) for layer in self.stack]
        keys, values = zip(*pairs, strict=True)
        return torch.stack(keys), torch.stack(values)

    def teach(self, tokens: Tensor, memory: Memory) -> Tensor:
        """Teacher-forced pass without a cache over tokens [B, T].

        Returns hidden states [B, T, D] before the final norm; position t has seen tokens 0 .. t.
        """
        return self.trace(self.embed(tokens), memory)[-1]

    def trace(self, embedded: Tensor, memory: Memory) -> list[Tensor]:
        """`teach` from embedded tokens [B, T, D], with what entered the first layer and what left each layer: L + 1
        tensors [B, T, D]."""
        mask = self.text_mask(memory.visible)
        slots = slice(embedded.shape[1])
        turns = None if self.turns is None else self.turns[slots]
        left = [drop(self.place(embedded, slots, memory.added), self.config.dropout, self.training)]
        for layer in self.stack:
            left.append(layer.read(layer.attend(left[-1], turns), *layer.project(memory.hidden), mask))
        return left

    def text_mask(self, visible: Tensor) -> Tensor | None:
        """bool [B, X] -> what cross-attention takes: bool [B, 1, 1, X'] with the null slot, None if all is visible."""
        if self.config.null_kv:
            visible = F.pad(visible, (1, 0), value=True)
        return None if bool(visible.all()) else visible[:, None, None]

    def forward(
        self,
        inputs: Tensor,
        state: DecoderState,
        layers: slice = ALL_LAYERS,
        placement: Placement | None = None,
        branching: Branching | None = None,
    ) -> Tensor:
        """Run layers [i:j) for T new tokens of every live row, writing the cache at lengths[b] + i.

        inputs: ids [B, T] where the slice starts at layer 0, else the hidden states [B, T, D] that left
        layer i - 1. Lengths do not move: `state.keep` commits what should stay. `placement` may be passed
        on from an earlier call on the same block; `branching` tells of a block that is no plain sequence.
        Run it under `torch.no_grad` or `inference_mode`. Returns hidden states [B, T, D] before the final norm.
        """
        first, last, _ = layers.indices(self.config.decoder_layers)
        if placement is None:
            placement = state.own.place(inputs.shape[1], self.turns, branching)
        x = self.place(self.embed(inputs), placement.positions, state.added) if first == 0 else inputs
        for number, layer in enumerate(self.stack[first:last], first):
            x = layer.step(x, placement, number, state.cross, number)
        return x

    def logits(self, hidden: Tensor) -> Tensor:
        """Final hidden states [B, T, D] -> logits [B, T, V]."""
        normed = self.final_norm(hidden)
        if self.output is not None:
            said: Tensor = self.output(normed)
            return said
        return self._output.multiply(normed, self.embedding.weight, self.config.vocab)
