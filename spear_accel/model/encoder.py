"""The encoder: embedded input -> memory that the decoder attends to. Knows nothing about vocabularies."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from spear_accel.model.attention import SelfAttention
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


class EncoderLayer(nn.Module):
    """Pre-norm self-attention and feed-forward. [B, X, D] -> [B, X, D]."""

    def __init__(self, config: TextToSemanticConfig) -> None:
        super().__init__()
        gain = (2 * config.encoder_layers) ** -0.5
        self.attention_norm = make_norm(config)
        self.attention = SelfAttention(config, gain, config.encoder_kv_heads)
        self.feed_forward_norm = make_norm(config)
        self.feed_forward = make_feed_forward(config, gain)
        self.dropout, self.causal = config.dropout, config.causal_encoder

    def forward(self, x: Tensor, rotary: Tensor | None, mask: Tensor | None) -> Tensor:
        branch = self.attention(self.attention_norm(x), rotary, mask, self.causal)
        x = x + drop(branch, self.dropout, self.training)
        branch = self.feed_forward(self.feed_forward_norm(x))
        return x + drop(branch, self.dropout, self.training)


class Encoder(nn.Module):
    """Stack of `EncoderLayer`, bidirectional unless the config says otherwise."""

    def __init__(self, config: TextToSemanticConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.encoder_layers))
        self.final_norm = make_norm(config)
        self.dropout = config.dropout
        self.rotary = self.positions = None
        if config.positions == "rotary":
            self.rotary = FixedTable(rotary_table(config.max_positions, config.head_dim, config.rotary_theta))
        else:
            self.positions = nn.Parameter(EMBEDDING_STD * torch.randn(config.longest_text, config.dim))
        self.times = FixedTable(sinusoid_table(config.max_positions, config.dim, 1.0)) if config.pace else None

    @property
    def stack(self) -> list[EncoderLayer]:
        """The layers, from the input to the output."""
        return cast("list[EncoderLayer]", list(self.layers))

    def forward(self, embedded: Tensor, visible: Tensor) -> Tensor:
        """embedded [B, X, D]; visible: bool [B, X], false at padding -> memory [B, X, D]."""
        mask = None if bool(visible.all()) else visible[:, None, None]
        rotary = None if self.rotary is None else self.rotary.values[: embedded.shape[1]]
        if self.positions is not None:
            embedded = embedded + self.positions[: embedded.shape[1]]
        x = drop(embedded, self.dropout, self.training)
        for layer in self.stack:
            x = layer(x, rotary, mask)
        memory: Tensor = self.final_norm(x)
        if self.times is not None:
            # Behind the norm: letters are told apart without positions, the decoder finds them by both.
            memory = memory + self.times.values[: memory.shape[1]].to(memory.dtype)
        return memory
