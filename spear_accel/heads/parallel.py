"""What heads have in common that say all tokens of a draft at once, from one hidden state and one token."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spear_accel.errors import UserError
from spear_accel.heads.trunk import Trunk
from spear_accel.model import TextToSemanticConfig
from spear_accel.model.layers import EMBEDDING_STD, RMSNorm

__all__ = ["ParallelHead"]


class ParallelHead(nn.Module):
    """Hidden states and tokens -> logits of the next `horizon` tokens; `forward` is what kinds of heads differ in.

    The hidden state was left by the input before the token, which was drawn from it.
    """

    single_step = False

    def __init__(self, horizon: int, target: TextToSemanticConfig, reads_token: bool = True) -> None:
        """Makes what all such heads share.

        Raises:
            UserError: The horizon is below 1.
        """
        super().__init__()
        if horizon < 1:
            raise UserError(f"horizon must be 1 or more, got {horizon}")
        self.horizon = horizon
        self.first = nn.Parameter(torch.randn(target.dim))
        self.scale = target.embedding_scale
        self.state_norm = RMSNorm(target.dim, target.norm_eps)
        self.embedding = nn.Embedding(target.vocab + 1, target.dim) if reads_token else None
        if self.embedding is not None:
            nn.init.normal_(self.embedding.weight, std=EMBEDDING_STD)

    def forward_teacher_forced(self, trunk: Trunk, positions: Tensor) -> Tensor:
        """Logits [B, P, n, V] of the n tokens after input `positions` [P] has been read; the hidden state is that of
        the position before, `first` before the beginning."""
        before = torch.cat((self.first.to(trunk.final.dtype).expand(len(trunk.final), 1, -1), trunk.final), dim=1)
        logits: Tensor = self(before[:, positions], trunk.inputs[:, positions])
        return logits

    def init_from_embedding(self, embedding: Tensor) -> None:
        """Start from the target's embedding [V + 1, D]."""
        if self.embedding is not None:
            self.embedding.weight.data.copy_(embedding)

    def _embedded(self, tokens: Tensor) -> Tensor | None:
        """Tokens [...] -> [..., D]; None where the head reads none."""
        return None if self.embedding is None else F.embedding(tokens, self.embedding.weight) * self.scale
