"""Early exit: the decoder's first layers and a head that speaks from what leaves them.

The first `exit_layer` layers are the target's own, so their keys, values and hidden states serve the verification
again. The head may hold transformer blocks apart from the trunk, which then need not serve two masters.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn

from spear_accel.errors import UserError
from spear_accel.heads.spec import HeadSpec, late_layer
from spear_accel.heads.trunk import Trunk
from spear_accel.kernels.projection import DraftProjection
from spear_accel.model import CrossCache, KeyValueCache, TextToSemanticConfig
from spear_accel.model.decoder_layer import DecoderLayer, run_layers
from spear_accel.model.layers import FeedForward, FixedTable, RMSNorm, rotary_table

__all__ = ["HEAD", "EarlyExit", "EarlyExitConfig"]


@dataclass(frozen=True, kw_only=True)
class EarlyExitConfig:
    """Shape of an `EarlyExit` head."""

    exit_layer: int
    """E: how many of the decoder's layers run before the exit."""
    blocks: int = 1
    """Transformer blocks of the head's own."""
    ff_inner: int = 512
    """Inner width of their feed-forward."""
    feed_forward: int = 0
    """Inner width of a feed-forward with biases in front of the projection; 0 has none."""
    memory_layer: int | None = None
    """The decoder layer, from 0, whose keys and values of the text the blocks read; None takes layer E."""


class EarlyExit(nn.Module):
    """Blocks, perhaps a feed-forward, a norm and a projection on the hidden states that leave layer E."""

    horizon = 1
    single_step = True

    def __init__(self, config: EarlyExitConfig, target: TextToSemanticConfig) -> None:
        """Makes the blocks, with fresh weights.

        Raises:
            UserError: The exit or the memory layer is none of the target's.
        """
        super().__init__()
        self.config = config
        self.source = config.exit_layer if config.memory_layer is None else config.memory_layer
        if not 1 <= config.exit_layer < target.decoder_layers:
            raise UserError(f"exit_layer {config.exit_layer}: choose 1 to {target.decoder_layers - 1}")
        if not 0 <= self.source < target.decoder_layers:
            raise UserError(f"memory_layer {self.source}: choose 0 to {target.decoder_layers - 1}")
        self.shape = replace(
            target, ff_inner=config.ff_inner, decoder_layers=max(1, config.blocks), positions="rotary"
        )  # fmt: skip
        self.blocks = nn.ModuleList(DecoderLayer(self.shape, own_memory=False) for _ in range(config.blocks))
        self.last_norm = self.last = None
        if config.feed_forward:
            self.last_norm = RMSNorm(target.dim, target.norm_eps)
            self.last = FeedForward(target.dim, config.feed_forward, target.dropout, 0.5, bias=True)
        self.norm = RMSNorm(target.dim, target.norm_eps)
        self.projection = DraftProjection(target.dim, target.vocab)
        nn.init.normal_(self.projection.weight, std=0.02)
        self.rotary = FixedTable(rotary_table(target.max_positions, target.head_dim, target.rotary_theta))

    def init_from_embedding(self, embedding: Tensor) -> None:
        """Start the projection from the target's output embedding [at least V, D]."""
        self.projection.weight.data.copy_(embedding[: self.projection.out_features])

    def forward_teacher_forced(self, trunk: Trunk, positions: Tensor) -> Tensor:
        """Logits [B, P, 1, V] of what the decoder says after reading input `positions` [P]."""
        x = trunk.hidden[self.config.exit_layer]
        rotary = self.rotary.values[: x.shape[1]]
        for block in self._blocks:
            x = block.read(block.attend(x, rotary), trunk.keys[self.source], trunk.values[self.source], trunk.mask)
        return self.logits(x[:, positions])[:, :, None]

    def new_cache(self, rows: int, capacity: int) -> KeyValueCache:
        """The blocks' own self-attention cache."""
        return KeyValueCache(
            len(self.blocks), rows, self.shape.kv_heads, capacity, self.shape.head_dim, self.projection.weight
        )

    def step(self, hidden: Tensor, cache: KeyValueCache, cross: CrossCache) -> Tensor:
        """States [B, T, D] that left layer E -> states of the head, written behind the lengths of `cache`."""
        if not len(self.blocks):
            return hidden
        return run_layers(self._blocks, hidden, cache, self.rotary.values, cross, self.source)

    def logits(self, hidden: Tensor) -> Tensor:
        """[..., D] -> [..., V]."""
        if self.last is not None and self.last_norm is not None:
            hidden = hidden + self.last(self.last_norm(hidden))
        logits: Tensor = self.projection(self.norm(hidden))
        return logits

    @property
    def _blocks(self) -> list[DecoderLayer]:
        return [block for block in self.blocks if isinstance(block, DecoderLayer)]


def _default_shape(target: TextToSemanticConfig) -> dict[str, Any]:
    exit_layer = max(1, target.decoder_layers // 8)
    return {"exit_layer": exit_layer, "ff_inner": 2 * target.dim, "memory_layer": late_layer(target)}


# It needs a layer to exit before the last.
HEAD = HeadSpec("early-exit", EarlyExitConfig, EarlyExit, _default_shape, by_default=True, least_layers=2)
