"""Self-attention with rotary positions and cross-attention with an optional null key and value.

One formula serves training (no cache, causal) and decoding (cache, any number of new tokens per row).
Knows nothing about lengths or rows: masks and slots arrive from outside.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from torch import Tensor, nn

from spear_accel.model.config import TextToSemanticConfig
from spear_accel.model.layers import linear, rotate
from spear_accel.model.views import BlockViews

PLAIN_ROWS = 4


def mix(q: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, causal: bool = False) -> Tensor:
    """Values [B, H, T, C] weighed by softmax(q keys^T / sqrt(C)).

    q [B, H, T, C]; keys, values [B, G, X, C], G dividing H; mask [B or 1, H or 1, T or 1, X]: bool, true where visible,
    or numbers to add to the scores.
    """
    if q.device.type == "cpu" and (torch.is_grad_enabled() or q.shape[0] >= PLAIN_ROWS):
        return _mix_plainly(q, keys, values, mask, causal)
    grouped = q.shape[1] != keys.shape[1]
    return F.scaled_dot_product_attention(q, keys, values, mask, is_causal=causal, enable_gqa=grouped)


def _mix_plainly(q: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
    """`mix` by plain products: on a CPU, with its gradient, less than half the time of torch's fused kernel; without,
    from `PLAIN_ROWS` rows on, three quarters of it (docs/training.md, docs/decoding.md)."""
    rows, heads, count, _ = q.shape
    if heads != keys.shape[1]:
        keys, values = (side.repeat_interleave(heads // side.shape[1], dim=1) for side in (keys, values))
    hidden = -0.5 * torch.finfo(q.dtype).max
    bias = q.new_zeros(1, 1, 1)
    if causal:
        bias = q.new_full((count, keys.shape[2]), hidden).triu(1)
    if mask is not None:
        if mask.dtype == torch.bool:
            mask = torch.zeros_like(mask, dtype=q.dtype).masked_fill(~mask, hidden)
        bias = bias + mask if causal else mask
        bias = bias.expand(rows, heads, -1, -1).flatten(0, 1)
    q, keys, values = (part.flatten(0, 1) for part in (q, keys, values))
    weights = torch.baddbmm(bias, q, keys.transpose(1, 2), alpha=q.shape[-1] ** -0.5).softmax(dim=-1)
    return torch.bmm(weights, values).view(rows, heads, count, -1)


class SelfAttention(nn.Module):
    """Rotary self-attention with grouped key/value heads (Ainslie et al. 2023)."""

    def __init__(self, config: TextToSemanticConfig, out_gain: float, kv_heads: int | None = None) -> None:
        """kv_heads: by default those of the config."""
        super().__init__()
        self.heads, self.kv_heads, self.head_dim = config.heads, kv_heads or config.kv_heads, config.head_dim
        self.qkv = linear(
            config.dim, (self.heads + 2 * self.kv_heads) * config.head_dim, bias=config.attention_bias
        )  # fmt: skip
        self.out = linear(config.heads * config.head_dim, config.dim, out_gain, config.attention_bias)

    def forward(self, x: Tensor, rotary: Tensor | None, mask: Tensor | None = None, causal: bool = False) -> Tensor:
        """Attend within x [B, T, D]. mask: as `mix` takes it; `causal` excludes a mask."""
        q, k, v = self._project(x, rotary)
        return self._attend(q, k.transpose(1, 2), v.transpose(1, 2), mask, causal)

    def step(self, x: Tensor, views: BlockViews, layer: int) -> Tensor:
        """Attend from new tokens x [B, T, D] to the cache of `layer`, which receives them first."""
        q, k, v = self._project(x, views.rotary)
        keys, values = views.write(layer, k, v)
        return self._attend(q, keys, values, views.mask, False)

    def _project(self, x: Tensor, rotary: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Rotated queries [B, T, H, C], rotated keys and plain values [B, T, G, C]."""
        packed = self.qkv(x).unflatten(-1, (-1, self.head_dim))
        rotated = self.heads + self.kv_heads
        qk = rotate(packed[:, :, :rotated], rotary)
        return qk[:, :, : self.heads], qk[:, :, self.heads :], packed[:, :, rotated:]

    def _attend(self, q: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
        # A cache may be in another precision than the model.
        mixed = mix(q.transpose(1, 2).to(keys.dtype), keys, values, mask, causal).to(q.dtype)
        out: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return out


class CrossReader(nn.Module):
    """The half of cross-attention that reads: queries and output. Keys and values come from outside, made once."""

    def __init__(self, config: TextToSemanticConfig, out_gain: float) -> None:
        super().__init__()
        self.head_dim = config.head_dim
        self.query = linear(config.dim, config.heads * config.head_dim, bias=config.attention_bias)
        self.out = linear(config.heads * config.head_dim, config.dim, out_gain, config.attention_bias)

    def forward(self, x: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
        """x [B, T, D]; keys, values [B, G, X', C]; mask: bool [B, 1, 1, X'], true where visible."""
        q = self.query(x).unflatten(-1, (-1, self.head_dim)).transpose(1, 2)
        # Keys and values may be those of a model in another precision.
        mixed = mix(q.to(keys.dtype), keys, values, mask).to(x.dtype)
        out: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return out

    def weights(self, x: Tensor, keys: Tensor, mask: Tensor | None) -> Tensor:
        """Attention weights of x [B, T, D] over keys [B, G, X, C], which `forward` does not return.

        mask: [B, 1, 1, X], bool, true where visible, or numbers to add to the scores. Leave the null slot out of keys
        and mask for weights over the text alone. Returns float32 [B, H, T, X].
        """
        query = rearrange(self.query(x), "b t (h c) -> b h t c", c=self.head_dim)
        shared = repeat(keys, "b g x c -> b (g r) c x", r=query.shape[1] // keys.shape[1])
        scores = query @ shared
        scores = scores.float() * query.shape[-1] ** -0.5
        if mask is not None:
            scores = scores.masked_fill(~mask, -1e4) if mask.dtype == torch.bool else scores + mask
        weights: Tensor = scores.softmax(dim=-1)
        return weights


class CrossAttention(CrossReader):
    """Attention from semantic positions to the encoded text. The null key and value are never masked."""

    def __init__(self, config: TextToSemanticConfig, out_gain: float) -> None:
        super().__init__(config, out_gain)
        groups = config.cross_kv_heads or config.kv_heads
        self.kv = linear(config.dim, 2 * groups * config.head_dim, bias=config.attention_bias)
        null = torch.randn(2, groups, config.head_dim) if config.null_kv else None
        self.null = None if null is None else nn.Parameter(null)

    def project(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Encoded text [B, X, D] -> keys, values [B, G, X (+ 1 for the null slot, first), C]."""
        packed = self.kv(memory).unflatten(-1, (2, -1, self.head_dim))
        if self.null is not None:
            null = self.null.to(packed.dtype).expand(packed.shape[0], 1, -1, -1, -1)
            packed = torch.cat((null, packed), dim=1)
        keys, values = rearrange(packed, "b x two g c -> two b g x c").unbind(0)
        return keys, values
