"""The decoder: semantic tokens and encoded text -> hidden states -> logits.

Two paths over the same weights: `teach` runs whole sequences without a cache, `forward` runs any slice of layers for
any number of new tokens per row on a `DecoderState`, by a backend. Knows nothing about sampling or drafting.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spear_accel.kernels.projection import PackedWeight, Projection
from spear_accel.model.backend import ALL_LAYERS, DecoderBackend, SkipSet
from spear_accel.model.cache import DecoderState, TreeMask
from spear_accel.model.config import TextToSemanticConfig
from spear_accel.model.decoder_layer import DecoderLayer
from spear_accel.model.layers import (
    EMBEDDING_STD,
    FixedTable,
    drop,
    make_final_norm,
    make_norm,
    rotary_table,
    sinusoid_table,
)
from spear_accel.model.relative import RelativePositions


@dataclass(frozen=True)
class Memory:
    """Encoded input. hidden: [B, X, D]; visible: bool [B, X], false at padding; added: [B, 1, D] or None, what each row
    adds to every input of the decoder."""

    hidden: Tensor
    visible: Tensor
    added: Tensor | None = None


class Decoder(nn.Module):
    """Causal stack of `DecoderLayer` with its input embedding, which is also the output projection."""

    backend: DecoderBackend
    """What runs `forward` and `logits`; given by the model that the decoder is part of."""

    def __init__(self, config: TextToSemanticConfig) -> None:
        super().__init__()
        self.config = config
        # One row more than the logits: the last is the start vector, read at position 0, never predicted.
        self.embedding = nn.Embedding(config.vocab + 1, config.dim)
        nn.init.normal_(self.embedding.weight, std=EMBEDDING_STD)
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.decoder_layers))
        self.final_norm = make_final_norm(config)
        self.embedding_norm = make_norm(config) if config.embedding_norm else None
        self._tied_output = PackedWeight()
        self.output = None if config.tied_output else Projection(config.dim, config.vocab, bias=True)
        self.output_bias = nn.Parameter(torch.zeros(config.vocab)) if config.output_bias else None
        self.rotary = self.positions = self.relative = None
        if config.positions == "rotary":
            self.rotary = FixedTable(rotary_table(config.max_positions, config.head_dim, config.rotary_theta))
        elif config.positions == "relative":
            self.relative = RelativePositions(config, one_way=True)
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
    def rotary_factors(self) -> Tensor | None:
        """Rotary factors of every position, if the model has any."""
        return None if self.rotary is None else self.rotary.values

    def add_positions(self, embedded: Tensor, positions: slice | Tensor, added: Tensor | None = None) -> Tensor:
        """Embedded tokens [B, T, D] as they enter the first layer: with what their positions ([T] or [B, T]) and rows
        (`added` [B, 1, D]) add."""
        if self.times is not None:
            embedded = embedded + self.times.values[positions].to(embedded.dtype)
        if self.positions is not None:
            embedded = embedded + self.positions[positions]
        if added is not None:
            embedded = embedded + added
        return embedded if self.embedding_norm is None else self.embedding_norm(embedded)

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
        slots = slice(embedded.shape[1])
        rotary = None if self.rotary_factors is None else self.rotary_factors[slots]
        mask, reach = self.text_mask(memory.visible), None
        if self.relative is not None:
            reach = self.relative.whole(embedded.shape[1])
        left = [drop(self.add_positions(embedded, slots, memory.added), self.config.dropout, self.training)]
        for layer in self.stack:
            left.append(layer.read(layer.attend(left[-1], rotary, reach), *layer.project(memory.hidden), mask))
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
        *,
        skip: SkipSet | None = None,
        tree: TreeMask | None = None,
        collect: list[Tensor] | None = None,
    ) -> Tensor:
        """Run layers [i:j) for T new tokens of every live row, writing the cache at lengths[b] + t.

        The only way to run layers on a `DecoderState`; see `DecoderBackend.forward` for the arguments. Run it under
        `torch.no_grad` or `inference_mode`. Returns hidden states [B, T, D] before the final norm.
        """
        return self.backend.forward(inputs, state, layers, skip, tree, collect)

    def logits(self, hidden: Tensor) -> Tensor:
        """Final hidden states [B, T, D] -> logits [B, T, V]."""
        return self.backend.logits(hidden)

    def project_output(self, hidden: Tensor) -> Tensor:
        """`logits` in PyTorch, with or without a gradient."""
        normed = self.final_norm(hidden)
        if self.output is not None:
            logits: Tensor = self.output(normed)
            return logits
        tied = self._tied_output.multiply(normed, self.embedding.weight, self.config.vocab)
        return tied if self.output_bias is None else tied + self.output_bias
