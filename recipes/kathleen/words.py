"""Text and what a recogniser heard, brought to one form, and the word errors between them.

Both sides go through one normaliser (that of Whisper's paper, package whisper-normalizer): lower case, no punctuation,
number words as figures, contractions and spellings unified. Knows words. Does not know sound.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from torchaudio.functional import edit_distance

from spear_accel.errors import UserError

__all__ = ["WordErrors", "character_error_rate", "error_rate", "interval", "plain", "word_errors"]

WordErrors = tuple[int, int]
"""Edits, and words of the reference."""
_RESAMPLES = 1000


def plain(text: str) -> str:
    """``text`` in the form that is compared."""
    return " ".join(_normaliser()(text).split())


def word_errors(reference: str, heard: str) -> WordErrors:
    """Edits from the words of ``reference`` to those of ``heard``, both in plain form."""
    wanted, found = plain(reference).split(), plain(heard).split()
    return int(edit_distance(wanted, found)), len(wanted)


def character_error_rate(references: Sequence[str], heard: Sequence[str]) -> float:
    """Edits of all utterances over the characters of the references, both sides in plain form."""
    pairs = [(plain(reference), plain(said)) for reference, said in zip(references, heard, strict=True)]
    return error_rate([(int(edit_distance(list(wanted), list(said))), len(wanted)) for wanted, said in pairs])


def error_rate(errors: Sequence[WordErrors]) -> float:
    """Edits of all utterances over their words (or characters)."""
    return sum(edits for edits, _ in errors) / max(1, sum(words for _, words in errors))


def interval(values: Sequence[Sequence[float]], seed: int = 0) -> tuple[float, float]:
    """The central 95 % of a ratio of sums when utterances are drawn anew with replacement (bootstrap, Efron 1979).

    Args:
        values: Numerator and denominator of each utterance; (value, 1) for a plain mean.
        seed: Of the drawing.
    """
    pairs = np.asarray(values, dtype=np.float64)
    drawn = np.random.default_rng(seed).integers(len(pairs), size=(_RESAMPLES, len(pairs)))
    sums = pairs[drawn].sum(axis=1)
    low, high = np.percentile(sums[:, 0] / np.maximum(sums[:, 1], 1e-9), [2.5, 97.5])
    return float(low), float(high)


@lru_cache(maxsize=1)
def _normaliser() -> Callable[[str], str]:
    try:
        from whisper_normalizer.english import EnglishTextNormalizer
    except ImportError as error:
        raise UserError(
            "word error rates need whisper-normalizer; install it with: pip install 'spear-accel[eval]'"
        ) from error
    normalise: Callable[[str], str] = EnglishTextNormalizer()
    return normalise
