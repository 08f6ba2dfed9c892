"""Recurrent: a small cell that starts from the decoder's last hidden state and reads its own drafts and the text.

After "Recurrent Drafter" (Zhang et al. 2024, arXiv 2403.09919), with attention to the text in every step. A step is
three small products and keeps no cache, so a draft costs a fraction of what a transformer's costs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spear_accel.errors import UserError
from spear_accel.heads.spec import HeadSpec, late_layer
from spear_accel.heads.trunk import Trunk
from spear_accel.kernels.projection import DraftProjection
from spear_accel.model import CrossCache, TextToSemanticConfig
from spear_accel.model.attention import mix
from spear_accel.model.layers import EMBEDDING_STD, RMSNorm, linear

__all__ = ["HEAD", "Recurrent", "RecurrentConfig", "RecurrentState"]

RecurrentState = tuple[Tensor, Tensor, Tensor]
"""The state [B, n, D], its normed self, and the queries [B, n, H * C] that it puts to the text."""
Text = tuple[Tensor, Tensor, "Tensor | None"]
"""Keys and values of the text [B, G, X', C], and what of it is visible."""


@dataclass(frozen=True, kw_only=True)
class RecurrentConfig:
    """Shape of a `Recurrent`."""

    horizon: int = 8
    """Tokens it is trained to draft; it may draft more."""
    inner: int = 1024
    """Inner width of the cell."""
    memory_layer: int = -1
    """The decoder layer whose keys and values of the text are read; negative counts from the end."""


class Recurrent(nn.Module):
    """A state and a token -> the next state and the logits of the token that follows."""

    single_step = False

    def __init__(self, config: RecurrentConfig, target: TextToSemanticConfig) -> None:
        """Makes the cell, with fresh weights.

        Raises:
            UserError: The memory layer is none of the target's, or a size is below 1.
        """
        super().__init__()
        if not -target.decoder_layers <= config.memory_layer < target.decoder_layers:
            raise UserError(f"memory_layer {config.memory_layer}: the decoder has {target.decoder_layers} layers")
        if config.horizon < 1 or config.inner < 1:
            raise UserError(f"horizon and inner must be 1 or more, got {config}")
        self.config, self.head_dim, self.vocab = config, target.head_dim, target.vocab
        self.source = config.memory_layer % target.decoder_layers
        self.groups = target.cross_kv_heads or target.kv_heads
        self.scale = target.embedding_scale
        width = target.heads * target.head_dim
        self.first = nn.Parameter(torch.randn(target.dim))
        self.state_norm = RMSNorm(target.dim, target.norm_eps)
        self.state = linear(target.dim, target.dim, kind=DraftProjection)
        # Rows of a table instead of products: what a token adds to the queries and to the cell.
        self.token = nn.Embedding(target.vocab + 1, width + config.inner)
        self.enter = linear(target.dim + width, config.inner, kind=DraftProjection)
        self.leave = linear(config.inner, target.dim, kind=DraftProjection)
        # Not the model's RMS norm: this one is a single kernel in torch.
        self.norm = nn.LayerNorm(target.dim, bias=False)
        # Logits, and the queries of the next step, in one product.
        self.say = linear(target.dim, target.vocab + width, kind=DraftProjection)
        nn.init.normal_(self.say.weight[: target.vocab], std=EMBEDDING_STD)

    @property
    def horizon(self) -> int:
        return self.config.horizon

    def init_from_embedding(self, embedding: Tensor) -> None:
        """Start the logits from the target's embedding [V + 1, D], and the table from a random image of it."""
        self.say.weight.data[: self.vocab] = embedding[: self.vocab]
        dim, width = embedding.shape[1], self.token.embedding_dim
        image = torch.randn(dim, width, device=embedding.device) * dim**-0.5
        self.token.weight.data.copy_(embedding * self.scale @ image)

    def forward_teacher_forced(self, trunk: Trunk, positions: Tensor) -> Tensor:
        """Logits [B, P, n, V] of the n = `horizon` tokens after input `positions` [P] has been read.

        Entry (p, j) has seen the hidden state of positions[p] - 1 (`first` before the beginning) and inputs
        positions[p] .. positions[p] + j; inputs beyond the end are repeats of the last.
        """
        final = trunk.final
        before = torch.cat((self.first.to(final.dtype).expand(len(final), 1, -1), final), dim=1)
        state = self.start(before[:, positions])
        text = trunk.keys[self.source], trunk.values[self.source], trunk.mask
        said = []
        for ahead in range(self.horizon):
            tokens = trunk.inputs[:, (positions + ahead).clamp_max(trunk.inputs.shape[1] - 1)]
            state, logits = self._next(state, tokens, text)
            said.append(logits)
        return torch.stack(said, dim=2)

    def start(self, hidden: Tensor) -> RecurrentState:
        """From the decoder's hidden states [B, n, D], `first` where there is none."""
        state = self.state(self.state_norm(hidden))
        normed = self.norm(state)
        return state, normed, self.say(normed)[..., self.vocab :]

    def step(self, state: RecurrentState, tokens: Tensor, cross: CrossCache) -> tuple[RecurrentState, Tensor]:
        """Read tokens [B, n]; returns the state behind them and the logits [B, n, V] of those that follow."""
        return self._next(state, tokens, (cross.keys[self.source], cross.values[self.source], cross.mask))

    @staticmethod
    def fork(state: RecurrentState, places: list[int]) -> RecurrentState:
        """The states [B, m, ...] of m places of [B, n, ...]; a place may be named more than once."""
        chosen = torch.tensor(places, device=state[0].device)
        first, second, third = (part.index_select(1, chosen) for part in state)
        return first, second, third

    def _next(self, before: RecurrentState, tokens: Tensor, text: Text) -> tuple[RecurrentState, Tensor]:
        state, normed, queries = before
        token = F.embedding(tokens, self.token.weight)
        width = queries.shape[-1]
        asked = (queries + token[..., :width]).view(*queries.shape[:-1], -1, self.head_dim).transpose(1, 2)
        # The text may be that of a model in another precision.
        read = mix(asked.to(text[0].dtype), *text).transpose(1, 2).flatten(2).to(normed.dtype)
        inner = self.enter(torch.cat((normed, read), dim=-1)) + token[..., width:]
        state = state + self.leave(F.silu(inner))
        normed = self.norm(state)
        said = self.say(normed)
        return (state, normed, said[..., self.vocab :]), said[..., : self.vocab]


def _default_shape(target: TextToSemanticConfig) -> dict[str, Any]:
    return {"horizon": 8, "inner": 4 * target.dim, "memory_layer": late_layer(target)}


# It learns best from more positions and at a higher rate than other heads (docs/training.md).
HEAD = HeadSpec(
    "recurrent", RecurrentConfig, Recurrent, _default_shape, learning_rate=0.002, positions=0.4, alone=True,
    by_default=True,
)  # fmt: skip
