"""Which of several attempts at an utterance is kept, and which has to be made again. Knows no engine and no files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from spear_accel.alignment.attention import Reading
from spear_accel.decoding import RequestResult

__all__ = ["Attempt", "best", "failure"]


@dataclass(frozen=True)
class Attempt:
    """What one seed made of an utterance."""

    number: int
    """Counted from 0, those of earlier runs included."""
    tokens: Tensor
    """int64 [n], without EOS."""
    seed: int
    failure: str | None = None
    """Why it is no utterance at all: it can never be kept."""
    reading: Reading | None = None
    """Of attempts that ended, where anybody asks."""
    doubt: str | None = None
    """What the reading says against it: kept only if nothing better comes."""

    @property
    def good(self) -> bool:
        return self.failure is None and self.doubt is None


def failure(result: RequestResult) -> str | None:
    """Why what was decoded is no utterance: a loop, no EOS, silence; None where it ended in its own time."""
    if not len(result.tokens):
        return "nothing was said"
    return None if result.stop_reason == "eos" else result.stop_reason


def best(attempts: Sequence[Attempt]) -> Attempt | None:
    """The attempt to keep; None where all failed.

    One without doubts, and of several the one that the model finds likeliest, where it was asked; else the one that
    read most of its text. Of equals the earliest.
    """
    ended = [attempt for attempt in attempts if attempt.failure is None]
    return max(ended, key=_rank, default=None)


def _rank(attempt: Attempt) -> tuple[bool, float, float, int]:
    if attempt.reading is None:
        return attempt.good, 0.0, 0.0, -attempt.number
    # Coverage tells bad from worse; among whole utterances it would only measure how fast they are read.
    coverage = 0.0 if attempt.good else attempt.reading.coverage
    return attempt.good, coverage, attempt.reading.log_prob or 0.0, -attempt.number
