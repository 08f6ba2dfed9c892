"""Draws by the shared noise, on the host: by the native step where it computes, else by PyTorch.

What is drawn at a position depends on its logits, its row's sampling parameters and noise alone, whichever of the two
draws and however many positions are asked for at once. Everything that draws for the target comes here.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from spear_accel.decoding.sampling import BatchSampling, noisy_scores
from spear_accel.native import Kernel, check_fault, choose_kernel
from spear_accel.native.structures import Draw

__all__ = ["BROKEN", "Ban", "draw"]

BROKEN = -1
"""Drawn where a logit is no number."""


@dataclass(frozen=True)
class Ban:
    """One token that may not be drawn at some positions. rows: for each of B rows, for each of n positions, whether."""

    token: int
    rows: Sequence[Sequence[bool]]


def draw(
    logits: Tensor,
    sampling: BatchSampling,
    gumbel: Tensor | None,
    places: Sequence[int],
    ban: Ban | None = None,
    windows: Tensor | None = None,
    best: int = 1,
) -> tuple[list[list[int]], list[list[float]]]:
    """The tokens of the highest noisy scores.

    Args:
        logits: [B, n, V].
        sampling: Of the B rows.
        gumbel: Noise [B, m, V]; None takes the argmax everywhere.
        places: Of each position, which of the m its noise is.
        ban: A token that some positions may not draw.
        windows: int64 [B, n, W], what penalties look at; None where no row has one.
        best: How many tokens a position.

    Returns:
        For each row, position by position, `best` tokens and their scores, the highest first. The first token is
        `BROKEN` where a logit is NaN.
    """
    kernel = choose_kernel().kernel
    simple = windows is None and not sampling.filters and logits.device.type == "cpu"
    if kernel is not None and simple:
        return _by_kernel(kernel, logits, sampling, gumbel, places, ban, best)
    noise = gumbel
    if gumbel is not None and list(places) != list(range(gumbel.shape[1])):
        noise = gumbel[:, torch.tensor(places, device=gumbel.device)]
    forbidden = None
    if ban is not None:
        forbidden = torch.zeros_like(logits, dtype=torch.bool)
        forbidden[..., ban.token] = torch.tensor(ban.rows, device=logits.device)
    scores = noisy_scores(logits, sampling, noise, windows, forbidden)
    highest = scores.topk(best, dim=-1)
    broken = scores.amax(dim=-1, keepdim=True).isnan()
    tokens = torch.where(broken, BROKEN, highest.indices)
    return tokens.flatten(1).tolist(), highest.values.flatten(1).tolist()


def _by_kernel(
    kernel: Kernel,
    logits: Tensor,
    sampling: BatchSampling,
    gumbel: Tensor | None,
    places: Sequence[int],
    ban: Ban | None,
    best: int,
) -> tuple[list[list[int]], list[list[float]]]:
    logits = logits.float().contiguous()
    rows, count, vocab = logits.shape
    wide = count * best
    tokens, scores = (ctypes.c_int64 * (rows * wide))(), (ctypes.c_float * (rows * wide))()
    order = (ctypes.c_int32 * count)(*places)
    banned = None if ban is None else (ctypes.c_uint8 * (rows * count))(*(flag for row in ban.rows for flag in row))
    task = Draw(
        logits=logits.data_ptr(), factors=sampling.factors.data_ptr(), scores=ctypes.addressof(scores),
        tokens=ctypes.addressof(tokens), places=ctypes.addressof(order),
        banned=None if banned is None else ctypes.addressof(banned), banned_token=-1 if ban is None else ban.token,
        rows=rows, count=count, vocab=vocab, best=best,
    )  # fmt: skip
    if gumbel is not None:
        assert gumbel.stride(2) == 1
        task.noise, task.noise_row, task.noise_place = gumbel.data_ptr(), gumbel.stride(0), gumbel.stride(1)
    check_fault(kernel.library.spear_draw(task))
    drawn, height = list(tokens), list(scores)
    starts = range(0, rows * wide, wide)
    return [drawn[at : at + wide] for at in starts], [height[at : at + wide] for at in starts]
