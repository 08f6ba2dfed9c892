"""Recurrent: a small cell that starts from the decoder's last hidden state and reads its own drafts.

After "Recurrent Drafter" (Zhang et al. 2024, arXiv 2403.09919), with a look at the text in every step. A step is three
or four small products and keeps no cache, so a draft costs a fraction of what a transformer's costs.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spear_accel.errors import UserError
from spear_accel.heads.trunk import Trunk
from spear_accel.model import CrossCache, TextToSemanticConfig
from spear_accel.model.attention import mix
from spear_accel.model.layers import EMBEDDING_STD, RMSNorm, linear
from spear_accel.model.projection import Projection

__all__ = ["Recurrent", "RecurrentConfig"]


@dataclass(frozen=True, kw_only=True)
class RecurrentConfig:
    """Shape of a `Recurrent`."""

    horizon: int = 6
    """Tokens it is trained to draft; it may draft more."""
    inner: int = 512
    """Inner width of the cell."""
    memory_layer: int | None = -1
    """The decoder layer whose keys and values of the text are read, from the end where negative; None reads no text."""


class Recurrent(nn.Module):
    """A state and a token -> the next state and the logits of the token that follows."""

    stepwise = False

    def __init__(self, config: RecurrentConfig, target: TextToSemanticConfig) -> None:
        """Raises UserError where the memory layer is none of the target's, or a size is below 1."""
        super().__init__()
        self.config, self.head_dim = config, target.head_dim
        layer, layers = config.memory_layer, target.decoder_layers
        if layer is not None and not -layers <= layer < layers:
            raise UserError(f"memory_layer {layer}: the decoder has {layers} layers")
        if config.horizon < 1 or config.inner < 1:
            raise UserError(f"horizon and inner must be 1 or more, got {config}")
        self.source = None if layer is None else layer % layers
        self.scale = target.embedding_scale
        self.first = nn.Parameter(torch.randn(target.dim))
        self.state_norm = RMSNorm(target.dim, target.norm_eps)
        self.state = linear(target.dim, target.dim)
        # Tokens enter at the inner width: a row of a table instead of a product.
        self.embedding = nn.Embedding(target.vocab + 1, config.inner)
        self.enter = linear(target.dim, config.inner)
        width = 0 if layer is None else target.heads * target.head_dim
        self.leave = linear(config.inner, target.dim + width)
        self.attended = None if layer is None else linear(width, target.dim)
        self.norm = RMSNorm(target.dim, target.norm_eps)
        self.projection = Projection(target.dim, target.vocab)
        nn.init.normal_(self.projection.weight, std=EMBEDDING_STD)

    @property
    def horizon(self) -> int:
        return self.config.horizon

    def begin_like(self, embedding: Tensor) -> None:
        """Start the projection from the target's embedding [V + 1, D], and the table from its image."""
        self.projection.weight.data.copy_(embedding[: self.projection.out_features])
        dim = embedding.shape[1]
        mapped = torch.randn(dim, self.config.inner, device=embedding.device) * dim**-0.5
        self.embedding.weight.data.copy_(embedding * self.scale @ mapped)

    def teach(self, trunk: Trunk, positions: Tensor) -> Tensor:
        """Logits [B, P, n, V] of the n = `horizon` tokens after input `positions` [P] has been read.

        Entry (p, j) has seen the hidden state of positions[p] - 1 (`first` before the beginning) and inputs
        positions[p] .. positions[p] + j; inputs beyond the end are repeats of the last.
        """
        final = trunk.final
        before = torch.cat((self.first.to(final.dtype).expand(len(final), 1, -1), final), dim=1)
        state = self.start(before[:, positions])
        text = None if self.source is None else (trunk.keys[self.source], trunk.values[self.source], trunk.mask)
        logits = []
        for ahead in range(self.horizon):
            tokens = trunk.inputs[:, (positions + ahead).clamp_max(trunk.inputs.shape[1] - 1)]
            state = self._next(*state, tokens, text)
            logits.append(self.logits(state))
        return torch.stack(logits, dim=2)

    def start(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden states [B, n, D] (`first` where there is none) -> states of the cell, as they are and normed."""
        state = self.state(self.state_norm(hidden))
        return state, self.norm(state)

    def step(self, state: tuple[Tensor, Tensor], tokens: Tensor, cross: CrossCache) -> tuple[Tensor, Tensor]:
        """Read tokens [B, n] from states [B, n, D]; returns the states that follow."""
        text = None if self.source is None else (cross.keys[self.source], cross.values[self.source], cross.mask)
        return self._next(*state, tokens, text)

    def logits(self, state: tuple[Tensor, Tensor]) -> Tensor:
        """[B, n, D] -> [B, n, V]."""
        logits: Tensor = self.projection(state[1])
        return logits

    def _next(
        self, state: Tensor, normed: Tensor, tokens: Tensor, text: tuple[Tensor, Tensor, Tensor | None] | None
    ) -> tuple[Tensor, Tensor]:
        left = self.leave(F.silu(self.enter(normed) + F.embedding(tokens, self.embedding.weight)))
        if text is None or self.attended is None:
            state = state + left
        else:
            update, queries = left.split((state.shape[-1], left.shape[-1] - state.shape[-1]), dim=-1)
            mixed = mix(queries.unflatten(-1, (-1, self.head_dim)).transpose(1, 2), *text)
            state = state + update + self.attended(mixed.transpose(1, 2).flatten(2))
        return state, self.norm(state)
