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

from spear_accel.heads.parallel import ParallelHead
from spear_accel.heads.spec import HeadSpec
from spear_accel.kernels.projection import DraftProjection
from spear_accel.model import TextToSemanticConfig
from spear_accel.model.layers import RMSNorm, linear

__all__ = ["HEAD", "Medusa", "MedusaConfig"]


@dataclass(frozen=True, kw_only=True)
class MedusaConfig:
    """Shape of a `Medusa`."""

    horizon: int = 4
    """K: heads, and most tokens it can draft."""
    reads_token: bool = True
    """Whether the heads see the committed token beside the hidden state."""


class Medusa(ParallelHead):
    """One hidden state -> logits of the next `horizon` tokens."""

    def __init__(self, config: MedusaConfig, target: TextToSemanticConfig) -> None:
        super().__init__(config.horizon, target, config.reads_token)
        self.config = config
        count = range(config.horizon)
        self.blocks = nn.ModuleList(linear(target.dim, target.dim, kind=DraftProjection) for _ in count)
        self.tokens = nn.ModuleList(
            linear(target.dim, target.dim, kind=DraftProjection) for _ in count if config.reads_token
        )
        self.norms = nn.ModuleList(RMSNorm(target.dim, target.norm_eps) for _ in count)
        self.projections = nn.ModuleList(DraftProjection(target.dim, target.vocab) for _ in count)

    def init_from_embedding(self, embedding: Tensor) -> None:
        super().init_from_embedding(embedding)
        for projection in self.projections:
            projection.weight.data.copy_(embedding[: projection.weight.shape[0]])  # type: ignore[index, operator]

    def forward(self, states: Tensor, tokens: Tensor) -> Tensor:
        """Hidden states [..., D] (`first` where there is none) and tokens [...] -> logits [..., n, V]."""
        x, token = self.state_norm(states), self._embedded(tokens)
        return torch.stack([self._head(number, x, token) for number in range(self.horizon)], dim=-2)

    def _head(self, number: int, x: Tensor, token: Tensor | None) -> Tensor:
        update = self.blocks[number](x)
        if token is not None:
            update = update + self.tokens[number](token)
        logits: Tensor = self.projections[number](self.norms[number](x + F.silu(update)))
        return logits


HEAD = HeadSpec("medusa", MedusaConfig, Medusa, lambda target: {"horizon": 4}, by_default=True)
