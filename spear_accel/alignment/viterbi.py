"""From attention weights to what of a text was read: a path through the text, and its skips and repeats.

Pure functions on numbers. Knows no model.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

__all__ = ["TextPath", "best_path", "follow"]

_STRIDE = 4
"""Most ids that a reader moves on from one token to the next: letters that are not heard are passed over."""
_JUMP = 6.0
"""Cost in nats of any other move, so that a glance elsewhere of a token or two is not followed."""
_UNSEEN = 0.01
"""Weights below are taken for this, so that no token is worth more than a jump."""
_FASTEST = 3.0
"""A stretch that is read at this multiple of the utterance's own pace has been skipped."""


@dataclass(frozen=True)
class TextPath:
    """What a path says about a text; all in ids of the text, counted from 0."""

    coverage: float
    """Share of the ids that were read or lie between two that were, no further apart than fluent reading goes."""
    skipped: int
    """Ids of the stretch that got too few tokens, beyond what these could have read."""
    skipped_at: int
    """Where that stretch begins."""
    repeated: int
    """Longest stretch that was read again."""
    repeated_at: int


def best_path(weights: NDArray[np.float32]) -> list[int]:
    """The likeliest way through a text that moves on by small steps and rarely jumps (Viterbi).

    weights: [T, X], attention of each token over the ids of the text. Returns an id for each token.
    """
    count, width = weights.shape
    gains = np.log(np.maximum(weights, _UNSEEN))
    places = np.arange(width)
    # The best of [from] for every [to]: windows of what came before, from the farthest step to none.
    padded = np.full(width + _STRIDE, -np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(padded, _STRIDE + 1)
    total = gains[0].astype(np.float64)
    origins = np.empty((count, width), dtype=np.int64)
    for step in range(1, count):
        padded[_STRIDE:] = total
        # Of equals the nearest: a reader that stays is simpler than one that runs.
        near = _STRIDE - windows[:, ::-1].argmax(axis=1)
        fluent = windows[places, near]
        far = int(total.argmax())
        jumps = total[far] - _JUMP > fluent
        origins[step] = np.where(jumps, far, places + near - _STRIDE)
        total = np.where(jumps, total[far] - _JUMP, fluent) + gains[step]
    path = [int(total.argmax())]
    for step in range(count - 1, 0, -1):
        path.append(int(origins[step, path[-1]]))
    return path[::-1]


def follow(path: list[int], width: int) -> TextPath:
    """What of a text of `width` ids a path of one id a token has read."""
    dwelt = np.bincount(path, minlength=width)
    covered, repeated, repeated_at = np.zeros(width, dtype=bool), 0, 0
    for first, last in _passes(path):
        again = int(covered[first : last + 1].sum())
        if again > repeated:
            repeated, repeated_at = again, first
        covered[first : last + 1] = True
    skipped, skipped_at = _hungriest(1.0 - dwelt.astype(np.float64) * (_FASTEST * width / len(path)))
    return TextPath(float(_with_edges(covered).mean()), round(skipped), skipped_at, repeated, repeated_at)


def _passes(path: list[int]) -> list[tuple[int, int]]:
    """First and last id of every part of a path that has no jump."""
    cuts = [place for place, (here, there) in enumerate(pairwise(path), 1) if not 0 <= there - here <= _STRIDE]
    return [(path[start], path[end - 1]) for start, end in pairwise([0, *cuts, len(path)])]


def _with_edges(covered: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A mark at the end, or a silent letter at either, is nothing to look at."""
    covered = covered.copy()
    seen = np.flatnonzero(covered)
    if seen[0] < _STRIDE:
        covered[: seen[0]] = True
    if len(covered) - 1 - seen[-1] < _STRIDE:
        covered[seen[-1] :] = True
    return covered


def _hungriest(lack: NDArray[np.float64]) -> tuple[float, int]:
    """The largest sum of a stretch of `lack` [X], and where the stretch begins."""
    sums = np.concatenate(([0.0], lack.cumsum()))
    excess = sums - np.minimum.accumulate(sums)
    end = int(excess.argmax())
    # Of equal beginnings the last: the stretch then holds no ids that were read well.
    start = end - int(sums[: end + 1][::-1].argmin())
    return float(excess[end]), start
