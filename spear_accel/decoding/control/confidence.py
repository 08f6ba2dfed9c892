"""Adaptive exit: a row drafts on until its draft doubts itself (Draft & Verify, Zhang et al. 2023, arXiv 2309.08168).

The token at which the draft's own probability falls below a threshold is kept, and nothing is drafted behind it: to
drop a token after it was drawn would bias what is said. The threshold follows acceptance. Wraps any drafter that draws
one token after another; knows no head.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor

from spear_accel.decoding.draft.base import Branches, Drafter, Grows, Round
from spear_accel.decoding.proposal import Proposal, Verdict
from spear_accel.model import DecoderState

__all__ = ["ConfidenceExit", "Threshold"]

LONGEST = 8
"""K of the paper: the longest draft where none is asked for."""


class Threshold:
    """The published rule: theta rises while acceptance is below target, falls while drafts stop short of K."""

    def __init__(self, greedy: bool) -> None:
        self.value = 0.8 if greedy else 0.5
        self._acceptance: float | None = None

    def observe(self, accepted: int, drafted: int, whole: bool) -> None:
        """A round is over. whole: whether every row drafted as far as it was allowed to."""
        if not drafted:
            return
        rate = accepted / drafted
        self._acceptance = rate if self._acceptance is None else 0.5 * self._acceptance + 0.5 * rate
        change = 0.01 if self._acceptance < 0.9 else 0.0 if whole else -0.01
        self.value = min(1.0, max(0.0, 0.9 * self.value + 0.1 * (self.value + change)))


class ConfidenceExit:
    """See `Drafter` for the methods."""

    branches: Branches = "nowhere"
    grows: Grows = "whole"

    def __init__(self, inner: Drafter, greedy: bool) -> None:
        self.inner, self.longest = inner, inner.longest
        self.threshold = Threshold(greedy)
        self._proposal: Proposal | None = None
        self._allowed = 0

    def reset(self, rows: int, capacity: int, text_capacity: int) -> None:
        self.inner.reset(rows, capacity, text_capacity)

    def admit(self, state: DecoderState, texts: Tensor) -> None:
        self.inner.admit(state, texts)

    def propose(self, current: Round) -> Proposal:
        limit = self.threshold.value

        def doubts(log_q: Tensor, token: Tensor) -> Tensor:
            return log_q.gather(-1, token[..., None])[..., 0].exp() < limit

        self._proposal, self._allowed = self.inner.propose(replace(current, stop=doubts)), current.draft_length
        return self._proposal

    def keep(self, verdict: Verdict, hidden: Tensor) -> None:
        assert self._proposal is not None
        lengths = self._proposal.lengths
        whole = bool((lengths == self._allowed).all())
        self.threshold.observe(int(verdict.accepted.sum()), int(lengths.sum()), whole)
        self.inner.keep(verdict, hidden)

    def select(self, rows: Sequence[int]) -> None:
        self.inner.select(rows)
