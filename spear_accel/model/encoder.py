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
    ResidualLayer,
    drop,
    make_feed_forward,
    make_final_norm,
    make_norm,
    rotary_table,
    sinusoid_table,
)
from spear_accel.model.relative import RelativePositions


class EncoderLayer(ResidualLayer):
    """Self-attention and feed-forward. [B, X, D] -> [B, X, D]."""

    def __init__(self, config: TextToSemanticConfig) -> None:
        super().__init__(config)
        gain = (2 * config.encoder_layers) ** -0.5
        self.attention_norm = make_norm(config)
        self.attention = SelfAttention(config, gain, config.encoder_kv_heads)
        self.feed_forward_norm = make_norm(config)
        self.feed_forward = make_feed_forward(config, gain)
        self.causal = config.causal_encoder

    def forward(self, x: Tensor, rotary: Tensor | None, mask: Tensor | None) -> Tensor:
        branch = self.attention(self.entering(x, self.attention_norm), rotary, mask, self.causal)
        x = self.leaving(x, branch, self.attention_norm)
        branch = self.feed_forward(self.entering(x, self.feed_forward_norm))
        return self.leaving(x, branch, self.feed_forward_norm)


class Encoder(nn.Module):
    """Stack of `EncoderLayer`, bidirectional unless the config says otherwise."""

    def __init__(self, config: TextToSemanticConfig) -> None:
        super().__init__()
        self.config = config
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.encoder_layers))
        self.final_norm = make_final_norm(config)
        self.embedding_norm = make_norm(config) if config.embedding_norm else None
        self.dropout = config.dropout
        self.rotary = self.positions = self.relative = None
        if config.positions == "rotary":
            self.rotary = FixedTable(rotary_table(config.max_positions, config.head_dim, config.rotary_theta))
        elif config.positions == "relative":
            self.relative = RelativePositions(config, one_way=False)
        else:
            self.positions = nn.Parameter(EMBEDDING_STD * torch.randn(config.longest_text, config.dim))
        self.times = FixedTable(sinusoid_table(config.max_positions, config.dim, 1.0)) if config.pace else None

    @property
    def stack(self) -> list[EncoderLayer]:
        """The layers, from the input to the output."""
        return cast("list[EncoderLayer]", list(self.layers))

    def add_positions(self, embedded: Tensor) -> Tensor:
        """Embedded input [B, X, D] as it enters the first layer."""
        if self.positions is not None:
            embedded = embedded + self.positions[: embedded.shape[1]]
        return embedded if self.embedding_norm is None else self.embedding_norm(embedded)

    def forward(self, embedded: Tensor, visible: Tensor) -> Tensor:
        """embedded [B, X, D]; visible: bool [B, X], false at padding -> memory [B, X, D]."""
        mask = None if bool(visible.all()) else visible[:, None, None]
        rotary = None if self.rotary is None else self.rotary.values[: embedded.shape[1]]
        if self.relative is not None:
            mask = self.relative.whole(embedded.shape[1], mask)
        x = drop(self.add_positions(embedded), self.dropout, self.training)
        for layer in self.stack:
            x = layer(x, rotary, mask)
        memory: Tensor = self.final_norm(x)
        if self.times is not None:
            # Behind the norm: letters are told apart without positions, the decoder finds them by both.
            memory = memory + self.times.values[: memory.shape[1]].to(memory.dtype)
        return memory
