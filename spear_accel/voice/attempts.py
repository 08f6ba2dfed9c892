"""An utterance decoded several times: each attempt has a seed of its own, and the best is kept.

Knows no engine, no model and no files.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from spear_accel.alignment.attention import AlignmentScore
from spear_accel.decoding import RequestResult
from spear_accel.decoding.noise import retry_seed
from spear_accel.text.plan import PlannedUtterance

__all__ = ["Attempt", "UtteranceJob"]

_SEED_STEP = 1000
"""Between the seeds of two attempts, far from the seeds that the engine itself takes after a loop."""


@dataclass
class Attempt:
    """One utterance decoded with one seed."""

    number: int
    """Counted from 0, attempts of earlier runs included."""
    seed: int
    """Asked for until the attempt is finished; then the one that made the tokens."""
    tokens: Tensor | None = None
    """int64 [n], without EOS; None until the attempt is finished."""
    failure: str | None = None
    """Why the tokens are no utterance; such an attempt is never kept."""
    score: AlignmentScore | None = None
    """Of attempts without a failure, if the options ask for it."""
    doubt: str | None = None
    """What the score says against the tokens: the attempt is kept only if no better one comes."""

    @property
    def finished(self) -> bool:
        """Whether the engine has returned its tokens."""
        return self.tokens is not None

    @property
    def good(self) -> bool:
        """Whether it needs no retry."""
        return self.finished and self.failure is None and self.doubt is None

    def finish(self, result: RequestResult) -> None:
        """Takes the tokens that the engine returned. A loop, a missing EOS and silence are failures."""
        self.tokens, self.seed = result.tokens, result.seed
        if not len(result.tokens):
            self.failure = "nothing was said"
        elif result.stop_reason != "eos":
            self.failure = result.stop_reason

    def _rank(self) -> tuple[bool, float, float, int]:
        if self.score is None:
            return self.good, 0.0, 0.0, -self.number
        # Coverage tells bad from worse; among whole utterances it would only measure how fast they are read.
        coverage = 0.0 if self.good else self.score.coverage
        return self.good, coverage, self.score.log_prob or 0.0, -self.number


@dataclass
class UtteranceJob:
    """One utterance and the attempts at it."""

    planned: PlannedUtterance
    text_ids: list[int]
    """Without EOS."""
    first_seed: int
    previous_attempts: int = 0
    """Of earlier runs; their seeds are used up."""
    attempts: list[Attempt] = field(default_factory=list)
    retries: int = 0
    """Attempts that were added because no earlier one was good."""

    @property
    def text(self) -> str:
        """Normalised."""
        return self.planned.text

    @property
    def finished(self) -> bool:
        """Whether no attempt is waiting or being decoded."""
        return all(attempt.finished for attempt in self.attempts)

    @property
    def best(self) -> Attempt | None:
        """The attempt to keep; None if all failed.

        One without a doubt, and among several the likeliest by the model if the score says so; else the one that
        covers most of the text. Of equals the earliest.
        """
        return max((attempt for attempt in self.attempts if attempt.failure is None), key=Attempt._rank, default=None)

    def start(self, count: int) -> list[Attempt]:
        """Adds so many attempts, each with a seed of its own."""
        first = self.previous_attempts + len(self.attempts)
        new = [Attempt(number, self._seed(number)) for number in range(first, first + count)]
        self.attempts += new
        return new

    def retry(self) -> Attempt:
        """Adds an attempt with the next seed."""
        self.retries += 1
        return self.start(1)[0]

    def describe(self, fault: str) -> str:
        """A fault, and where it is."""
        return f"{fault} in {self.text[:60]!r}, {self.retries} retries"

    def _seed(self, number: int) -> int:
        return self.first_seed if not number else retry_seed(self.first_seed, _SEED_STEP * number)
