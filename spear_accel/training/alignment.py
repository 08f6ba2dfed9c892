"""Guided attention: a training aid that pulls cross-attention towards the diagonal.

Speech follows its text from left to right, but a deep decoder finds that out late: it first learns to continue speech
without reading. A penalty on attention far from the diagonal (Tachibana et al. 2017, arXiv 1710.08969) on a few layers
brings the alignment forward by thousands of steps. Changes nothing of the model; used while training only.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from spear_accel.errors import UserError
from spear_accel.model import TextToSemantic

__all__ = ["DiagonalGuide", "diagonal_distance"]


class DiagonalGuide:
    """Records what guided layers attend to within a ``with`` block, and scores it.

    Weights are recomputed from the queries and keys that pass through the layer, because the fused attention does not
    give them out.
    """

    def __init__(self, model: TextToSemantic, layers: Sequence[int], width: float = 0.2) -> None:
        """layers: decoder layers to guide, counted from 0; width: of the free band, as a share of the length."""
        wrong = [layer for layer in layers if not 0 <= layer < model.config.decoder_layers]
        if wrong:
            raise UserError(
                f"guided layer {wrong[0]} is not there; the decoder has 0 to {model.config.decoder_layers - 1}"
            )
        self._modules = [model.decoder.stack[layer].cross for layer in layers]
        self._skipped = int(model.config.null_kv)
        self._width = width
        self._weights: list[Tensor] = []
        self._handles: list[Any] = []

    def __enter__(self) -> DiagonalGuide:
        self._weights.clear()
        self._handles = [module.register_forward_pre_hook(self._record) for module in self._modules]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for handle in self._handles:
            handle.remove()

    def penalty(self, tokens: Tensor, text: Tensor, rows: Tensor) -> Tensor:
        """Mean share of attention outside the band, 0 to 1.

        tokens, text: lengths [B] of the decoder's input and of the encoder's; rows: bool [B], the rows that count.
        """
        if not bool(rows.any()):
            return tokens.new_zeros((), dtype=torch.float32)
        _, _, steps, places = self._weights[0].shape
        far = diagonal_distance(tokens, text, steps, places, self._width)
        counted = (torch.arange(steps, device=tokens.device) < tokens[:, None]) & rows[:, None]
        outside = torch.stack([(weights.mean(dim=1) * far).sum(dim=-1) for weights in self._weights]).mean(dim=0)
        return (outside * counted).sum() / counted.sum()

    def _record(self, module: nn.Module, arguments: tuple[Any, ...]) -> None:
        """Attention weights over the text alone, [B, H, T, X]: the null slot lies on no diagonal."""
        x, keys, _, mask = arguments
        query = module.query(x).unflatten(-1, (-1, module.head_dim)).transpose(1, 2)  # type: ignore[operator]
        groups = query.shape[1] // keys.shape[1]
        scores = query @ keys[:, :, self._skipped :].repeat_interleave(groups, dim=1).transpose(2, 3)
        scores = scores.float() * query.shape[-1] ** -0.5
        if mask is not None:
            scores = scores.masked_fill(~mask[..., self._skipped :], -1e4)
        self._weights.append(scores.softmax(dim=-1))


def diagonal_distance(tokens: Tensor, text: Tensor, steps: int, places: int, width: float) -> Tensor:
    """How far each (step, place) lies from its row's diagonal: [B, steps, places] in [0, 1)."""
    step = torch.arange(steps, device=tokens.device) / tokens[:, None].clamp_min(1)
    place = torch.arange(places, device=tokens.device) / text[:, None].clamp_min(1)
    return 1 - torch.exp(-(step[:, :, None] - place[:, None]).square() / (2 * width**2))
