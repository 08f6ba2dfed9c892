"""The encoder: embedded input -> memory that the decoder attends to. Knows nothing about vocabularies."""

from __future__ import annotations

from torch import Tensor, nn

from spear_accel.model.attention import SelfAttention
from spear_accel.model.config import TextToSemanticConfig
from spear_accel.model.layers import FeedForward, FixedTable, RMSNorm, drop, rotary_table, sinusoid_table


class EncoderLayer(nn.Module):
    """Pre-norm self-attention and feed-forward. [B, X, D] -> [B, X, D]."""

    def __init__(self, config: TextToSemanticConfig) -> None:
        super().__init__()
        gain = (2 * config.encoder_layers) ** -0.5
        self.attention_norm = RMSNorm(config.dim, config.norm_eps)
        self.attention = SelfAttention(config, gain)
        self.feed_forward_norm = RMSNorm(config.dim, config.norm_eps)
        self.feed_forward = FeedForward(config.dim, config.ff_inner, config.dropout, gain)
        self.dropout = config.dropout

    def forward(self, x: Tensor, turns: Tensor, mask: Tensor | None) -> Tensor:
        branch = self.attention(self.attention_norm(x), turns, mask)
        x = x + drop(branch, self.dropout, self.training)
        branch = self.feed_forward(self.feed_forward_norm(x))
        return x + drop(branch, self.dropout, self.training)


class Encoder(nn.Module):
    """Bidirectional stack of `EncoderLayer`."""

    def __init__(self, config: TextToSemanticConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.encoder_layers))
        self.final_norm = RMSNorm(config.dim, config.norm_eps)
        self.dropout = config.dropout
        self.rotary = FixedTable(rotary_table(config.max_positions, config.head_dim, config.rotary_theta))
        self.times = FixedTable(sinusoid_table(config.max_positions, config.dim, 1.0)) if config.pace else None

    def forward(self, embedded: Tensor, visible: Tensor) -> Tensor:
        """embedded [B, X, D]; visible: bool [B, X], false at padding -> memory [B, X, D]."""
        mask = None if bool(visible.all()) else visible[:, None, None]
        turns = self.rotary.values[: embedded.shape[1]]
        x = drop(embedded, self.dropout, self.training)
        for layer in self.layers:
            x = layer(x, turns, mask)
        memory: Tensor = self.final_norm(x)
        if self.times is not None:
            # Behind the norm: letters are told apart without positions, the decoder finds them by both.
            memory = memory + self.times.values[: memory.shape[1]].to(memory.dtype)
        return memory
