"""Losses on logits of token sequences. Knows nothing about models, tasks or batching."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from einops import rearrange
from torch import Tensor
from torchaudio.functional import edit_distance

__all__ = ["IGNORED", "best_path", "ctc_loss_per_symbol", "sequence_loss", "symbol_errors", "top1_hits"]

IGNORED = -100
"""Target of positions that carry no loss (padding)."""


def sequence_loss(logits: Tensor, targets: Tensor, smoothing: float = 0.0, reduction: str = "mean") -> Tensor:
    """Cross-entropy in nats per counted token, with label smoothing (Szegedy et al. 2016).

    logits [B, T, V]; targets [B, T], `IGNORED` where nothing is to be predicted. Computed in float32.
    """
    return F.cross_entropy(
        rearrange(logits.float(), "b t v -> (b t) v"), targets.flatten(),
        ignore_index=IGNORED, label_smoothing=smoothing, reduction=reduction,
    )  # fmt: skip


def top1_hits(logits: Tensor, targets: Tensor) -> tuple[int, int]:
    """How many counted targets have the highest logit, and how many targets count."""
    counted = targets != IGNORED
    hits = (logits.argmax(-1) == targets) & counted
    return int(hits.sum()), int(counted.sum())


def ctc_loss_per_symbol(logits: Tensor, lengths: Tensor, targets: Tensor, target_lengths: Tensor) -> Tensor:
    """CTC loss (Graves et al. 2006) in nats per target symbol, in float32; the blank is class 0.

    logits [B, T, classes]; lengths [B]; targets: the symbols of all rows in a row; target_lengths [B].
    """
    scores = rearrange(logits.float().log_softmax(-1), "b t v -> t b v")
    total = F.ctc_loss(scores, targets, lengths, target_lengths, reduction="sum", zero_infinity=True)
    return total / target_lengths.sum()


def best_path(logits: Tensor, lengths: Tensor) -> list[list[int]]:
    """Symbols of CTC's most likely path: [B, T, classes] -> a list a row, blanks and repeats taken out."""
    rows = []
    for row, length in zip(logits.argmax(-1), lengths.tolist(), strict=True):
        best = row[:length].unique_consecutive()
        rows.append(best[best != 0].tolist())
    return rows


def symbol_errors(said: Sequence[Sequence[int]], wanted: Sequence[Sequence[int]]) -> float:
    """Edits over wanted symbols."""
    edits = sum(int(edit_distance(list(one), list(other))) for one, other in zip(said, wanted, strict=True))
    return edits / max(1, sum(map(len, wanted)))
