"""Medusa: heads side by side on the decoder's last hidden state, each for one future token (Cai et al. 2024,
arXiv 2401.10774). Each has its own residual block and its own projection; one parallel step whatever the draft length.

The hidden state was left by the input before the committed token; with `reads_token` the heads see that token too,
which Medusa's own do not (cf. Hydra, Ankner et al. 2024, arXiv 2402.05109).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spear_accel.errors import UserError
from spear_accel.heads.trunk import Trunk
from spear_accel.model import TextToSemanticConfig
from spear_accel.model.layers import EMBEDDING_STD, RMSNorm, linear
from spear_accel.model.projection import Projection

__all__ = ["Medusa", "MedusaConfig"]


@dataclass(frozen=True, kw_only=True)
class MedusaConfig:
    """Shape of a `Medusa`."""

    horizon: int = 4
    """K: heads, and most tokens it can draft."""
    reads_token: bool = True
    """Whether the heads see the committed token beside the hidden state."""


class Medusa(nn.Module):
    """One hidden state -> logits of the next `horizon` tokens."""

    stepwise = False

    def __init__(self, config: MedusaConfig, target: TextToSemanticConfig) -> None:
        super().__init__()
        if config.horizon < 1:
            raise UserError(f"horizon must be 1 or more, got {config.horizon}")
        self.config = config
        self.first = nn.Parameter(torch.randn(target.dim))
        self.scale = target.embedding_scale
        self.state_norm = RMSNorm(target.dim, target.norm_eps)
        self.embedding = nn.Embedding(target.vocab + 1, target.dim) if config.reads_token else None
        if self.embedding is not None:
            nn.init.normal_(self.embedding.weight, std=EMBEDDING_STD)
        count = range(config.horizon)
        self.blocks = nn.ModuleList(linear(target.dim, target.dim) for _ in count)
        self.tokens = nn.ModuleList(linear(target.dim, target.dim) for _ in count if config.reads_token)
        self.norms = nn.ModuleList(RMSNorm(target.dim, target.norm_eps) for _ in count)
        self.projections = nn.ModuleList(Projection(target.dim, target.vocab) for _ in count)

    @property
    def horizon(self) -> int:
        return self.config.horizon

    def begin_like(self, embedding: Tensor) -> None:
        """Start projections and embedding from the target's [V + 1, D]."""
        if self.embedding is not None:
            self.embedding.weight.data.copy_(embedding)
        for projection in self.projections:
            projection.weight.data.copy_(embedding[: projection.weight.shape[0]])  # type: ignore[index, operator]

    def teach(self, trunk: Trunk, positions: Tensor) -> Tensor:
        """Logits [B, P, n, V] of the n tokens after input `positions` [P] has been read; the hidden state is that of
        the position before."""
        before = torch.cat((self.first.to(trunk.final.dtype).expand(len(trunk.final), 1, -1), trunk.final), dim=1)
        return self.forward(before[:, positions], trunk.inputs[:, positions])

    def forward(self, states: Tensor, tokens: Tensor) -> Tensor:
        """Hidden states [..., D] (`first` where there is none) and tokens [...] -> logits [..., n, V]."""
        x = self.state_norm(states)
        token = None if self.embedding is None else F.embedding(tokens, self.embedding.weight) * self.scale
        return torch.stack([self._head(number, x, token) for number in range(self.horizon)], dim=-2)

    def _head(self, number: int, x: Tensor, token: Tensor | None) -> Tensor:
        update = self.blocks[number](x)
        if token is not None:
            update = update + self.tokens[number](token)
        logits: Tensor = self.projections[number](self.norms[number](x + F.silu(update)))
        return logits
