"""Prophet: a small transformer that starts from the decoder's last hidden states and reads on by itself.

Its sequence is: `starts` hidden states up to the last one known, then the committed token and its own drafts. Every
draft is a tiny step; the text is read through keys and values that a layer of the decoder has already made.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from spear_accel.errors import UserError
from spear_accel.heads.spec import HeadSpec, late_layer
from spear_accel.heads.trunk import Trunk
from spear_accel.kernels.projection import DraftProjection
from spear_accel.model import CrossCache, KeyValueCache, TextToSemanticConfig
from spear_accel.model.decoder_layer import DecoderLayer, run_layers
from spear_accel.model.layers import EMBEDDING_STD, FixedTable, RMSNorm, linear, rotary_table

__all__ = ["HEAD", "Prophet", "ProphetConfig"]


@dataclass(frozen=True, kw_only=True)
class ProphetConfig:
    """Shape of a `Prophet`."""

    horizon: int = 6
    """Tokens it is trained to draft; it may draft more."""
    starts: int = 1
    """K: leading hidden states."""
    layers: int = 1
    ff_inner: int = 512
    """Inner width of the feed-forward."""
    memory_layer: int = -1
    """The decoder layer whose keys and values of the text are read; negative counts from the end."""


class Prophet(nn.Module):
    """Hidden states and tokens -> logits of the tokens that follow."""

    single_step = False

    def __init__(self, config: ProphetConfig, target: TextToSemanticConfig) -> None:
        """Makes the layers, with fresh weights.

        Raises:
            UserError: The memory layer is none of the target's, or a size is below 1.
        """
        super().__init__()
        self.config = config
        self.source = config.memory_layer % target.decoder_layers
        if not -target.decoder_layers <= config.memory_layer < target.decoder_layers:
            raise UserError(f"memory_layer {config.memory_layer}: the decoder has {target.decoder_layers} layers")
        if config.starts < 1 or config.layers < 1 or config.horizon < 1:
            raise UserError(f"starts, layers and horizon must be 1 or more, got {config}")
        self.shape = replace(
            target, ff_inner=config.ff_inner, decoder_layers=config.layers, positions="rotary"
        )  # fmt: skip
        self.first = nn.Parameter(torch.randn(target.dim))
        self.state_norm = RMSNorm(target.dim, target.norm_eps)
        self.state = linear(target.dim, target.dim, kind=DraftProjection)
        self.carry = linear(target.dim, target.dim, kind=DraftProjection)
        self.embedding = nn.Embedding(target.vocab + 1, target.dim)
        nn.init.normal_(self.embedding.weight, std=EMBEDDING_STD)
        self.layers = nn.ModuleList(DecoderLayer(self.shape, own_memory=False) for _ in range(config.layers))
        self.norm = RMSNorm(target.dim, target.norm_eps)
        self.projection = DraftProjection(target.dim, target.vocab)
        nn.init.normal_(self.projection.weight, std=EMBEDDING_STD)
        # A round is short: starts, the committed token and the drafts.
        self.rotary = FixedTable(rotary_table(256, target.head_dim, target.rotary_theta))

    @property
    def horizon(self) -> int:
        return self.config.horizon

    def init_from_embedding(self, embedding: Tensor) -> None:
        """Start both embeddings from the target's [V + 1, D]."""
        self.embedding.weight.data.copy_(embedding)
        self.projection.weight.data.copy_(embedding[: self.projection.out_features])

    def forward_teacher_forced(self, trunk: Trunk, positions: Tensor) -> Tensor:
        """Logits [B, P, n, V] of the n = `horizon` tokens after input `positions` [P] has been read.

        Entry (p, j) has seen the hidden states up to positions[p] - 1 and inputs positions[p] .. positions[p] + j;
        inputs beyond the end are repeats of the last.
        """
        count = len(positions)
        ahead = positions[:, None] + torch.arange(self.horizon, device=positions.device)
        tokens = trunk.inputs[:, ahead.clamp_max(trunk.inputs.shape[1] - 1)]
        states = self._known(trunk.final, positions)
        x = torch.cat((self.state(states), self._read_tokens(tokens, states[:, :, -1:])), dim=2)
        rotary = self.rotary.values[: x.shape[2]]
        keys, values = trunk.keys[self.source], trunk.values[self.source]
        for layer in self._layers:
            # Every position has a sequence of its own, but all positions of a row read one text.
            x = layer.attend(rearrange(x, "b p n d -> (b p) n d"), rotary)
            x = layer.read(rearrange(x, "(b p) n d -> b (p n) d", p=count), keys, values, trunk.mask)
            x = rearrange(x, "b (p n) d -> b p n d", p=count)
        return self.logits(x[:, :, self.config.starts :])

    def start(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """Last K hidden states [B, K, D], `first` where there are none -> inputs [B, K, D] and what every token of
        the round carries, [B, 1, D]."""
        normed = self.state_norm(states)
        return self.state(normed), self.carry(normed[:, -1:])

    def read(self, tokens: Tensor, carried: Tensor) -> Tensor:
        """Tokens [B, n] -> inputs [B, n, D]."""
        return F.embedding(tokens, self.embedding.weight) * self.shape.embedding_scale + carried

    def new_cache(self, rows: int, longest: int) -> KeyValueCache:
        """Cache of one round for drafts of up to `longest` tokens."""
        capacity = self.config.starts + longest + 1
        return KeyValueCache(
            self.config.layers, rows, self.shape.kv_heads, capacity, self.shape.head_dim, self.projection.weight
        )

    def step(self, x: Tensor, cache: KeyValueCache, cross: CrossCache) -> Tensor:
        """Inputs [B, n, D] behind the lengths of `cache` -> states [B, n, D]."""
        return run_layers(self._layers, x, cache, self.rotary.values, cross, self.source)

    def logits(self, hidden: Tensor) -> Tensor:
        """[..., D] -> [..., V]."""
        logits: Tensor = self.projection(self.norm(hidden))
        return logits

    def _known(self, final: Tensor, positions: Tensor) -> Tensor:
        """Normed states [B, P, K, D] up to positions - 1, `first` before the beginning."""
        padded = torch.cat((self.first.to(final.dtype).expand(len(final), self.config.starts, -1), final), dim=1)
        window = positions[:, None] + torch.arange(self.config.starts, device=positions.device)
        known: Tensor = self.state_norm(padded[:, window])
        return known

    def _read_tokens(self, tokens: Tensor, last: Tensor) -> Tensor:
        """Tokens [B, P, n] and the normed last state [B, P, 1, D] -> inputs [B, P, n, D]."""
        return self.read(tokens, self.carry(last))

    @property
    def _layers(self) -> list[DecoderLayer]:
        return [layer for layer in self.layers if isinstance(layer, DecoderLayer)]


def _default_shape(target: TextToSemanticConfig) -> dict[str, Any]:
    return {"horizon": 6, "ff_inner": 2 * target.dim, "memory_layer": late_layer(target)}


HEAD = HeadSpec("prophet", ProphetConfig, Prophet, _default_shape, by_default=True)
