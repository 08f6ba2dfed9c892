"""Quantisers as layers of a network that is trained: finite scalar quantisation, and a learned codebook.

Both replace a frame by the vector of its unit, let gradients pass as if they did not (straight-through, Bengio et al.
2013, arXiv 1308.3432), and turn into the quantiser of a tokenizer. Know vectors. Do not know sound or losses.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from einops import rearrange
from torch import Tensor, nn

from spear_accel.audio.kmeans import Codebook
from spear_accel.audio.scalar_quantiser import (
    ScalarQuantiser,
    check_levels,
    codes_of,
    level_indices,
    rounded,
    unit_grid,
)

__all__ = ["CodebookLayer", "Quantised", "ScalarLayer"]

_DECAY = 0.99
_DEAD = 0.03
"""A unit that has less than this share of its fair part is put elsewhere."""


class Quantised(NamedTuple):
    """What a quantiser makes of frames."""

    vectors: Tensor
    """[B, T, W]"""
    units: Tensor
    """int64 [B, T]"""
    commitment: Tensor
    """How far frames are from their units; a loss, 0 where there is none."""


class ScalarLayer(nn.Module):
    """Finite scalar quantisation (Mentzer et al. 2023, arXiv 2309.15505) of a projection."""

    def __init__(self, dim: int, levels: tuple[int, ...]) -> None:
        super().__init__()
        check_levels(levels)
        self.levels = levels
        self.project = nn.Linear(dim, len(levels))
        self.expand = nn.Sequential(
            nn.Linear(len(levels), dim), nn.GELU(), nn.Linear(dim, dim), nn.LayerNorm(dim)
        )  # fmt: skip

    def forward(self, frames: Tensor, inside: Tensor) -> Quantised:
        """Quantise frames [B, T, D]; `inside` is not looked at."""
        numbers = self.project(frames)
        units = codes_of(level_indices(numbers.detach(), self.levels), self.levels)
        return Quantised(self.expand(rounded(numbers, self.levels)), units, frames.new_zeros(()))

    def quantiser(self) -> ScalarQuantiser:
        """The part that tokens need."""
        centroids = self.expand(unit_grid(self.levels)).detach()
        return ScalarQuantiser(self.levels, self.project.weight.detach(), self.project.bias.detach(), centroids)


class CodebookLayer(nn.Module):
    """A codebook that follows the frames it stands for (van den Oord et al. 2017, arXiv 1711.00937, appendix A.1)."""

    mean: Tensor
    scale: Tensor
    centroids: Tensor
    sizes: Tensor
    sums: Tensor

    def __init__(self, dim: int, units: int) -> None:
        super().__init__()
        self.expand = nn.Sequential(nn.Linear(dim, dim), nn.LayerNorm(dim))
        # Buffers: moved by what frames say, not by gradients.
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("scale", torch.ones(dim))
        self.register_buffer("centroids", torch.randn(units, dim))
        self.register_buffer("sizes", torch.ones(units))
        self.register_buffer("sums", self.centroids.clone())

    def start_from(self, codebook: Codebook) -> None:
        """Take the centroids of k-means."""
        self.mean.copy_(codebook.mean)
        self.scale.copy_(codebook.scale)
        self.centroids.copy_(codebook.centroids)
        self.sizes.fill_(1.0)
        self.sums.copy_(codebook.centroids)

    def forward(self, frames: Tensor, inside: Tensor) -> Quantised:
        """Quantise frames [B, T, D]; in training the centroids move towards the frames `inside` [B, T]."""
        normalised = (frames - self.mean) * self.scale
        units = self.quantiser().nearest(frames.detach())
        nearest = self.centroids[units]
        distance = (normalised - nearest).square().mean(dim=-1)
        commitment = (distance * inside).sum() / inside.sum()
        vectors = self.expand(normalised + (nearest - normalised).detach())
        if self.training:
            self._follow(normalised.detach()[inside], units[inside])
        return Quantised(vectors, units, commitment)

    @torch.no_grad()
    def _follow(self, frames: Tensor, units: Tensor) -> None:
        """Moving averages of the frames of each unit; units that hardly any frame has are put on frames of now."""
        counts = torch.bincount(units, minlength=len(self.sizes)).to(frames)
        self.sizes.lerp_(counts, 1 - _DECAY)
        self.sums.lerp_(torch.zeros_like(self.sums).index_add_(0, units, frames), 1 - _DECAY)
        fair = float(self.sizes.mean())
        dead = (self.sizes < _DEAD * fair).nonzero()[:, 0]
        if len(dead):
            chosen = torch.randint(len(frames), (len(dead),), device=frames.device)
            self.sizes[dead] = fair
            self.sums[dead] = fair * frames[chosen]
        self.centroids.copy_(self.sums / rearrange(self.sizes.clamp_min(1e-6), "u -> u 1"))

    def quantiser(self) -> Codebook:
        """The part that tokens need."""
        return Codebook(self.mean, self.scale, self.centroids)
