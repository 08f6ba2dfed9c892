"""Linear prophet: several future tokens at once, a stream each, from one projection (ProphetNet, Qi et al. 2020).

Reads the decoder's last hidden state and the token that was drawn from it; nothing of what it drafts itself. One
parallel step whatever the draft length.
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

__all__ = ["ProphetLinear", "ProphetLinearConfig"]


@dataclass(frozen=True, kw_only=True)
class ProphetLinearConfig:
    """Shape of a `ProphetLinear`."""

    horizon: int = 4
    """Streams: most tokens it can draft."""


class ProphetLinear(nn.Module):
    """One hidden state and one token -> logits of the next `horizon` tokens."""

    stepwise = False

    def __init__(self, config: ProphetLinearConfig, target: TextToSemanticConfig) -> None:
        super().__init__()
        if config.horizon < 1:
            raise UserError(f"horizon must be 1 or more, got {config.horizon}")
        self.config = config
        self.first = nn.Parameter(torch.randn(target.dim))
        self.scale = target.embedding_scale
        self.state_norm = RMSNorm(target.dim, target.norm_eps)
        self.state = linear(target.dim, config.horizon * target.dim)
        self.token = linear(target.dim, config.horizon * target.dim)
        self.embedding = nn.Embedding(target.vocab + 1, target.dim)
        nn.init.normal_(self.embedding.weight, std=EMBEDDING_STD)
        self.norm = RMSNorm(target.dim, target.norm_eps)
        self.projection = Projection(target.dim, target.vocab)
        nn.init.normal_(self.projection.weight, std=EMBEDDING_STD)

    @property
    def horizon(self) -> int:
        return self.config.horizon

    def begin_like(self, embedding: Tensor) -> None:
        """Start both embeddings from the target's [V + 1, D]."""
        self.embedding.weight.data.copy_(embedding)
        self.projection.weight.data.copy_(embedding[: self.projection.out_features])

    def teach(self, trunk: Trunk, positions: Tensor) -> Tensor:
        """Logits [B, P, n, V] of the n tokens after input `positions` [P] has been read; the hidden state is that of
        the position before."""
        before = torch.cat((self.first.to(trunk.final.dtype).expand(len(trunk.final), 1, -1), trunk.final), dim=1)
        return self.forward(before[:, positions], trunk.inputs[:, positions])

    def forward(self, states: Tensor, tokens: Tensor) -> Tensor:
        """Hidden states [..., D] (`first` where there is none) and tokens [...] -> logits [..., n, V]."""
        embedded = F.embedding(tokens, self.embedding.weight) * self.scale
        streams = self.state(self.state_norm(states)) + self.token(embedded)
        logits: Tensor = self.projection(self.norm(streams.unflatten(-1, (self.horizon, -1))))
        return logits
