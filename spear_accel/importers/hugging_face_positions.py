"""Tables of sines and cosines that BART's kin compute instead of learning. Knows no checkpoints."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["sinusoids"]


def sinusoids(order: str, positions: int, dim: int, offset: int) -> Tensor:
    """Sines, then cosines, float32 [positions, dim]; row i is that of position i + offset.

    order: "halves", frequencies 10000^(-2k / dim); or "fairseq", 10000^(-k / (dim / 2 - 1)), rounded at every step as
    fairseq rounds it.
    """
    half = dim // 2
    if order == "halves":
        frequencies = 10_000.0 ** (-torch.arange(0, dim, 2, dtype=torch.float64) / dim)
        angles = torch.outer(torch.arange(offset, positions + offset, dtype=torch.float64), frequencies)
        return torch.cat((angles.sin(), angles.cos()[:, :half]), dim=1).float()
    step = math.log(10_000) / (half - 1)
    rising = torch.exp(torch.arange(half).float() * -step)
    turned = torch.arange(offset, positions + offset).float()[:, None] * rising
    table = torch.cat((turned.sin(), turned.cos()), dim=1)
    return torch.nn.functional.pad(table, (0, dim % 2))
