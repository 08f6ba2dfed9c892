"""The likeliest path of an utterance's tokens through the letters of its text (Viterbi).

Pure functions of numbers. Knows no model.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["MAX_STRIDE", "best_path"]

MAX_STRIDE = 4
"""Most letters that the path moves on from one token to the next: it passes over letters that are not heard."""
_JUMP_COST = 6.0
"""Nats that any other move costs, so that the path does not follow a glance elsewhere of a token or two."""
_MIN_WEIGHT = 0.01
"""Smaller weights are raised to this, so that no single token is worth a jump."""


def best_path(weights: NDArray[np.float32]) -> list[int]:
    """Finds the path that stays or moves on by at most `MAX_STRIDE` letters, and rarely jumps.

    Args:
        weights: [T, X], attention of each token over the letters of the text.

    Returns:
        The letter of each token, [T], counted from 0.
    """
    tokens, letters = weights.shape
    gains = np.log(np.maximum(weights, _MIN_WEIGHT))
    places = np.arange(letters)
    # windows[x] holds the totals of the letters x - MAX_STRIDE to x, from which a step may come to letter x. The
    # windows are views on `padded`, so they follow when the totals are written into it.
    padded = np.full(letters + MAX_STRIDE, -np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(padded, MAX_STRIDE + 1)
    totals = gains[0].astype(np.float64)
    origins = np.empty((tokens, letters), dtype=np.int64)
    for step in range(1, tokens):
        padded[MAX_STRIDE:] = totals
        # argmax takes the first of equals; in reverse order that is the nearest letter, the simplest explanation.
        nearest_best = MAX_STRIDE - windows[:, ::-1].argmax(axis=1)
        step_totals = windows[places, nearest_best]
        jump_from = int(totals.argmax())
        jump_total = totals[jump_from] - _JUMP_COST
        jumps = jump_total > step_totals
        origins[step] = np.where(jumps, jump_from, places + nearest_best - MAX_STRIDE)
        totals = np.where(jumps, jump_total, step_totals) + gains[step]
    path = [int(totals.argmax())]
    for step in range(tokens - 1, 0, -1):
        path.append(int(origins[step, path[-1]]))
    return path[::-1]
