"""The residual block that the mel decoder and the vocoder are built of, and the masking that keeps rows apart.

Method: ConvNeXt (Liu et al. 2022, arXiv 2201.03545) in one dimension, as in Vocos (Siuzdak 2023, arXiv 2306.00814).
Knows frames and channels only. Normalisation is per frame, so the receptive field is that of the convolutions.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spear_accel.kernels.projection import Projection


def frame_mask(lengths: Tensor, frames: int) -> Tensor:
    """Lengths [B] -> float mask [B, frames, 1]: one inside a row, zero in its padding."""
    inside = torch.arange(frames, device=lengths.device)[None, :] < lengths[:, None]
    return inside.unsqueeze(-1).float()


class ConvNeXtBlock(nn.Module):
    """Depthwise convolution over frames, then a two-layer perceptron per frame, added to the input."""

    def __init__(self, width: int, hidden: int, kernel: int, scale: float, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.depthwise = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.expand = Projection(width, hidden, bias=True, gelu=True)
        self.contract = Projection(hidden, width, bias=True)
        self.scale = nn.Parameter(torch.full((width,), scale))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """[B, frames, width] -> the same shape; `mask` [B, frames, 1] makes padding look like the edge."""
        update = self.depthwise(x.transpose(1, 2)).transpose(1, 2)
        update = self.contract(self.expand(self.norm(update)))
        x = x + self.dropout(self.scale * update)
        return x if mask is None else x * mask


class ConvNeXtStack(nn.Module):
    """Several blocks with a closing normalisation."""

    def __init__(self, width: int, hidden: int, blocks: int, kernel: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(ConvNeXtBlock(width, hidden, kernel, 1.0 / blocks, dropout) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)
        self.reach = blocks * (kernel // 2)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """[B, frames, width] -> the same shape. A frame depends on `reach` frames on each side of it."""
        for block in self.blocks:
            x = block(x, mask)
        normed: Tensor = self.norm(x)
        return normed
