"""Guided attention: a training aid that shows cross-attention where in the text each token is said.

Speech follows its text from left to right, but a deep decoder finds that out late: it first learns to continue speech
without reading. A penalty on attention far from the letter of a token (Tachibana et al. 2017, arXiv 1710.08969, with
the diagonal; Zhu et al. 2019 with dated letters) on a few layers brings the alignment forward by thousands of steps.
Changes nothing of the model; used while training only.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any, cast

import torch
from einops import rearrange, reduce
from torch import Tensor, nn

from spear_accel.errors import UserError
from spear_accel.model import TextToSemantic
from spear_accel.model.attention import CrossReader

__all__ = ["AttentionGuide", "diagonal", "penalty"]

DIAGONAL_WIDTH = 0.2


class AttentionGuide:
    """Records what guided layers attend to within a `with` block, and scores it.

    Weights are recomputed from the queries and keys that pass through the layer, because the fused attention does not
    give them out.
    """

    def __init__(self, model: TextToSemantic, layers: Sequence[int]) -> None:
        """layers: decoder layers to guide, counted from 0."""
        wrong = [layer for layer in layers if not 0 <= layer < model.config.decoder_layers]
        if wrong:
            raise UserError(
                f"guided layer {wrong[0]} is not there; the decoder has 0 to {model.config.decoder_layers - 1}"
            )
        self._modules = [model.decoder.stack[layer].cross for layer in layers]
        self._skipped = int(model.config.null_kv)
        self.weights: list[Tensor] = []
        """What each guided layer attended to, [B, H, T, X], filled within the block."""
        self._handles: list[Any] = []

    def __enter__(self) -> AttentionGuide:
        self.weights.clear()
        self._handles = [module.register_forward_pre_hook(self._record) for module in self._modules]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for handle in self._handles:
            handle.remove()

    def inside(self, centres: Tensor, widths: Tensor, counted: Tensor) -> Tensor:
        """Share of attention in a soft band around the centres, 0 to 1, at the positions that count.

        Args:
            centres: [B, T], where in the text each decoder position is.
            widths: [B], standard deviation of the band, in text ids.
            counted: bool [B, T], the positions that count.

        Returns:
            [guided layers, positions that count].
        """
        position = torch.arange(self.weights[0].shape[-1], device=centres.device)
        away = (position - rearrange(centres, "b t -> b t 1")) / rearrange(widths, "b -> b 1 1")
        near = torch.exp(-away.square() / 2)
        return torch.stack([
            reduce(reduce(weights, "b h t x -> b t x", "mean") * near, "b t x -> b t", "sum")[counted]
            for weights in self.weights
        ])  # fmt: skip

    def _record(self, module: nn.Module, arguments: tuple[Any, ...]) -> None:
        """Attention weights over the text alone, [B, H, T, X]: the null slot lies on no diagonal."""
        x, keys, _, mask = arguments
        seen = None if mask is None else mask[..., self._skipped :]
        self.weights.append(cast("CrossReader", module).weights(x, keys[:, :, self._skipped :], seen))


def penalty(inside: Tensor) -> Tensor:
    """Mean negative logarithm of the shares in the band, in nats; 0 where no position counts.

    The share outside, as in Tachibana et al. (2017), would hardly pull at first: attention that is spread over a whole
    sentence has little weight in the band, and its gradient is in proportion.
    """
    return -inside.clamp_min(1e-4).log().mean() if inside.numel() else inside.sum()


def diagonal(steps: int, text: int) -> tuple[Tensor, float]:
    """Centres [steps] and width for a text of `text` ids when nobody knows better than a straight line."""
    return torch.arange(steps) * (text / steps), DIAGONAL_WIDTH * text
