"""How much of a text a path of tokens covers: what the path skips, and what it reads twice.

Pure functions of numbers. Knows no model.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from spear_accel.alignment.viterbi import MAX_STRIDE

__all__ = ["Alignment", "max_deficit_span", "measure_coverage"]

_SKIPPING_PACE = 3.0
"""A stretch counts as skipped if it is passed at this multiple of the utterance's own pace."""


@dataclass(frozen=True)
class Alignment:
    """Which letter each token says, and what follows for the text. Letters are counted from 0."""

    path: tuple[int, ...]
    """The letter of each token; the last token is EOS."""
    coverage: float
    """Share of the letters on the path, 0 to 1. Letters that a step of fluent reading passes over count as read."""
    skipped: int
    """Length of the most skipped stretch: letters that got no tokens, less those that its tokens could have read."""
    skipped_at: int
    """First letter of that stretch."""
    repeated: int
    """Letters in the longest stretch that is read again."""
    repeated_at: int
    """First letter of that stretch."""


def measure_coverage(path: list[int], letters: int) -> Alignment:
    """Measures what a path covers of a text.

    Args:
        path: The letter of each token, [T].
        letters: Length of the text, X.
    """
    tokens_per_letter = np.bincount(path, minlength=letters).astype(np.float64)
    covered, repeated, repeated_at = np.zeros(letters, dtype=bool), 0, 0
    for first, last in _passes(path):
        again = int(covered[first : last + 1].sum())
        if again > repeated:
            repeated, repeated_at = again, first
        covered[first : last + 1] = True
    # Each letter is one letter to read, less the letters that its tokens could have read at the skipping pace.
    deficit, skipped_at = max_deficit_span(1.0 - tokens_per_letter * (_SKIPPING_PACE * letters / len(path)))
    return Alignment(
        path=tuple(path),
        coverage=float(_with_edges(covered).mean()),
        skipped=round(deficit),
        skipped_at=skipped_at,
        repeated=repeated,
        repeated_at=repeated_at,
    )


def max_deficit_span(deficits: NDArray[np.float64]) -> tuple[float, int]:
    """Returns the largest sum of a stretch of `deficits` [X], and the place where the stretch begins."""
    sums = np.concatenate(([0.0], deficits.cumsum()))
    excess = sums - np.minimum.accumulate(sums)
    end = int(excess.argmax())
    # Of equal beginnings the last one, so that the stretch holds no letters that were read well.
    start = end - int(sums[: end + 1][::-1].argmin())
    return float(excess[end]), start


def _passes(path: list[int]) -> list[tuple[int, int]]:
    """First and last letter of each part of a path that has no jump."""
    jumps = [place for place, (here, there) in enumerate(pairwise(path), 1) if not 0 <= there - here <= MAX_STRIDE]
    return [(path[start], path[end - 1]) for start, end in pairwise([0, *jumps, len(path)])]


def _with_edges(covered: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Counts a few unread letters at either end as read: a mark or a silent letter needs no token."""
    covered = covered.copy()
    seen = np.flatnonzero(covered)
    if seen[0] < MAX_STRIDE:
        covered[: seen[0]] = True
    if len(covered) - 1 - seen[-1] < MAX_STRIDE:
        covered[seen[-1] :] = True
    return covered
