"""Finite scalar quantisation: a few numbers, each rounded to a few levels, whose combination is the unit.

Method: Mentzer et al. 2023 (arXiv 2309.15505). A trained projection takes an encoder frame to those numbers, so that
the encoder learns around its own rounding (`spear_accel.training.speech_quantiser`); `kmeans.Codebook` is for encoders
that are taken as they are. Knows vectors. Does not know speech, files or encoders.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from spear_accel.errors import UserError

__all__ = ["ScalarQuantiser", "check_levels", "codes_of", "level_indices", "rounded", "unit_grid"]


@dataclass(frozen=True)
class ScalarQuantiser:
    """A projection of features, the levels of its outputs, and a vector for each unit."""

    levels: tuple[int, ...]
    """How many values each of the d numbers takes; their product is the number of units."""
    weight: Tensor
    """[d, D]"""
    bias: Tensor
    """[d]"""
    centroids: Tensor
    """What the network above the quantiser makes of each unit: [units, W]."""

    def nearest(self, features: Tensor) -> Tensor:
        """Unit of each feature vector: [frames, D] -> int64 [frames]."""
        return codes_of(level_indices(features @ self.weight.T + self.bias, self.levels), self.levels)

    def tensors(self) -> dict[str, Tensor]:
        """What `from_tensors` needs, for a file."""
        return {"weight": self.weight, "bias": self.bias, "centroids": self.centroids}


def check_levels(levels: Sequence[int]) -> int:
    """How many units the levels make.

    Raises:
        UserError: There are no levels, or one of them is below 2.
    """
    if not levels or min(levels) < 2:
        raise UserError(f"levels {list(levels)}: each number needs at least 2 levels, and one number is needed")
    return math.prod(levels)


def level_indices(numbers: Tensor, levels: Sequence[int]) -> Tensor:
    """Round each number, bounded by tanh, to one of its levels: [..., d] -> int64 [..., d], 0 to level - 1."""
    steps = torch.tensor(levels, device=numbers.device) - 1
    return ((numbers.float().tanh() + 1) / 2 * steps).round().long()


def codes_of(indices: Tensor, levels: Sequence[int]) -> Tensor:
    """Units of level indices: int64 [..., d] -> int64 [...]; the first number is the least significant digit."""
    places = torch.tensor([math.prod(levels[:place]) for place in range(len(levels))], device=indices.device)
    return (indices * places).sum(dim=-1)


def rounded(numbers: Tensor, levels: Sequence[int]) -> Tensor:
    """The values, -1 to 1, that numbers are rounded to: [..., d] -> [..., d].

    Gradients pass the rounding as if it were not there (straight-through, Bengio et al. 2013, arXiv 1308.3432).
    """
    bounded = numbers.float().tanh()
    steps = torch.tensor(levels, device=numbers.device) - 1
    nearest = level_indices(numbers, levels) / steps * 2 - 1
    return bounded + (nearest - bounded).detach()


def unit_grid(levels: Sequence[int]) -> Tensor:
    """The values of every unit, in the order of the units: float32 [units, d] in -1 to 1."""
    units = torch.arange(math.prod(levels))
    digits = []
    for level in levels:
        digits.append((units % level) / (level - 1) * 2 - 1)
        units = units // level
    return torch.stack(digits, dim=1)
