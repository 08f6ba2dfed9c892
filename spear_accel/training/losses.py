"""Losses on logits of token sequences. Knows nothing about models, tasks or batching."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

__all__ = ["IGNORED", "sequence_loss", "top1_hits"]

IGNORED = -100
"""Target of positions that carry no loss (padding)."""


def sequence_loss(logits: Tensor, targets: Tensor, smoothing: float = 0.0, reduction: str = "mean") -> Tensor:
    """Cross-entropy in nats per counted token, with label smoothing (Szegedy et al. 2016).

    logits [B, T, V]; targets [B, T], `IGNORED` where nothing is to be predicted. Computed in float32.
    """
    return F.cross_entropy(
        logits.float().flatten(0, 1), targets.flatten(),
        ignore_index=IGNORED, label_smoothing=smoothing, reduction=reduction,
    )  # fmt: skip


def top1_hits(logits: Tensor, targets: Tensor) -> tuple[int, int]:
    """How many counted targets have the highest logit, and how many targets count."""
    counted = targets != IGNORED
    hits = (logits.argmax(-1) == targets) & counted
    return int(hits.sum()), int(counted.sum())
