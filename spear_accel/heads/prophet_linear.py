"""Linear prophet: several future tokens at once, a stream each, from one projection (ProphetNet, Qi et al. 2020).

Reads the decoder's last hidden state and the token that was drawn from it; nothing of what it drafts itself. One
parallel step whatever the draft length.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from spear_accel.heads.parallel import ParallelHead
from spear_accel.heads.spec import HeadSpec
from spear_accel.kernels.projection import DraftProjection
from spear_accel.model import TextToSemanticConfig
from spear_accel.model.layers import EMBEDDING_STD, RMSNorm, linear

__all__ = ["HEAD", "ProphetLinear", "ProphetLinearConfig"]


@dataclass(frozen=True, kw_only=True)
class ProphetLinearConfig:
    """Shape of a `ProphetLinear`."""

    horizon: int = 4
    """Streams: most tokens it can draft."""


class ProphetLinear(ParallelHead):
    """One hidden state and one token -> logits of the next `horizon` tokens."""

    def __init__(self, config: ProphetLinearConfig, target: TextToSemanticConfig) -> None:
        super().__init__(config.horizon, target)
        self.config = config
        self.state = linear(target.dim, config.horizon * target.dim, kind=DraftProjection)
        self.token = linear(target.dim, config.horizon * target.dim, kind=DraftProjection)
        self.norm = RMSNorm(target.dim, target.norm_eps)
        self.projection = DraftProjection(target.dim, target.vocab)
        nn.init.normal_(self.projection.weight, std=EMBEDDING_STD)

    def init_from_embedding(self, embedding: Tensor) -> None:
        super().init_from_embedding(embedding)
        self.projection.weight.data.copy_(embedding[: self.projection.out_features])

    def forward(self, states: Tensor, tokens: Tensor) -> Tensor:
        """Hidden states [..., D] (`first` where there is none) and tokens [...] -> logits [..., n, V]."""
        streams = self.state(self.state_norm(states)) + self.token(self._embedded(tokens))
        logits: Tensor = self.projection(self.norm(streams.unflatten(-1, (self.horizon, -1))))
        return logits


HEAD = HeadSpec("prophet-linear", ProphetLinearConfig, ProphetLinear, lambda target: {"horizon": 4})
