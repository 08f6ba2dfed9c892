"""Relative positions in buckets (Raffel et al. 2020, arXiv 1910.10683): what scores get added by distance.

One table serves all layers of a stack. Knows nothing of caches or rows.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spear_accel.model.config import TextToSemanticConfig
from spear_accel.model.layers import EMBEDDING_STD, FixedTable

__all__ = ["RelativePositions", "bucket_table"]


class RelativePositions(nn.Module):
    """A learned number for each head and bucket of distances."""

    def __init__(self, config: TextToSemanticConfig, *, one_way: bool) -> None:
        """one_way: whether only earlier positions are seen; else half of the buckets are for later ones."""
        super().__init__()
        self.one_way = one_way
        self.each_way = config.relative_buckets if one_way else config.relative_buckets // 2
        self.weight = nn.Parameter(EMBEDDING_STD * torch.randn(config.relative_buckets, config.heads))
        self.buckets = FixedTable(bucket_table(config.max_positions, self.each_way, config.relative_distance))

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Positions int64 [..., T] and [..., X] -> what their scores get added, [..., H, T, X]."""
        ahead = keys[..., None, :] - queries[..., :, None]
        table = self.buckets.values
        if self.one_way:
            bucket = table[(-ahead).clamp(0, len(table) - 1)]
        else:
            bucket = table[ahead.abs().clamp_max(len(table) - 1)] + self.each_way * (ahead > 0)
        added: Tensor = F.embedding(bucket, self.weight).movedim(-1, -3)
        return added

    def whole(self, length: int, visible: Tensor | None = None) -> Tensor:
        """What self-attention over a whole sequence adds to its scores, [1 or B, H, length, length].

        visible: bool [B, 1, 1, length], false at padding. One way, what is later gets -inf.
        """
        places = torch.arange(length, device=self.weight.device)
        added: Tensor = self(places, places)[None]
        if self.one_way:
            later = torch.ones(length, length, dtype=torch.bool, device=added.device).triu(1)
            added = added.masked_fill(later, -torch.inf)
        return added if visible is None else added.masked_fill(~visible, -torch.inf)


def bucket_table(distances: int, buckets: int, reach: int) -> Tensor:
    """The bucket, int64 [distances], of each distance in one direction.

    The first half of the buckets hold one distance each, the others ranges that grow by one factor up to `reach`.
    """
    each = torch.arange(distances)
    exact = buckets // 2
    # In float32, as T5 rounds it: some ranges begin exactly at a whole distance.
    growth = torch.log(each.clamp_min(1).float() / exact) / math.log(reach / exact)
    wide = (exact + (growth * (buckets - exact)).long()).clamp_max(buckets - 1)
    return torch.where(each < exact, each, wide)
