"""Several independent drafts of any sampling drafter, side by side in one tree (for k-SEQ).

Each draft has noise of its own; the drafter is asked once for each. Knows no head.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import torch
from torch import Tensor

from spear_accel.decoding.draft.base import Branches, Drafter, Grows, Round
from spear_accel.decoding.proposal import Proposal, Verdict
from spear_accel.decoding.tree import TreeShape, chain
from spear_accel.model import DecoderState

__all__ = ["IndependentDrafts", "side_by_side"]


class IndependentDrafts:
    """See `Drafter` for the methods. Node number chain * depth + d is token d of a chain."""

    branches: Branches = "nowhere"
    grows: Grows = "whole"

    def __init__(self, inner: Drafter, chains: int) -> None:
        """inner: a drafter that draws from a law and leaves nothing behind but what its last draft wrote."""
        self.inner, self.chains, self.longest = inner, chains, inner.longest

    def reset(self, rows: int, capacity: int, text_capacity: int) -> None:
        self.inner.reset(rows, capacity, text_capacity)

    def admit(self, state: DecoderState, texts: Tensor) -> None:
        self.inner.admit(state, texts)

    def propose(self, current: Round) -> Proposal:
        """Chain 0 is drawn last: what the drafter remembers is of that one."""
        if not current.wanted.nodes:
            return self.inner.propose(current)
        plain = replace(current, wanted=chain(current.draft_length))
        drawn = [
            self.inner.propose(replace(plain, noise=current.noise.stream(number)))
            for number in reversed(range(self.chains))
        ][::-1]
        laws = [proposal.log_q for proposal in drawn]
        tokens = torch.cat([proposal.tokens for proposal in drawn], dim=1)
        known = [law for law in laws if law is not None]
        proposal = Proposal.tree(tokens, side_by_side(self.chains, current.draft_length))
        return replace(proposal, log_q=torch.cat(known, dim=1) if len(known) == len(laws) else None)

    def keep(self, verdict: Verdict, hidden: Tensor) -> None:
        self.inner.keep(verdict, hidden)

    def select(self, rows: Sequence[int]) -> None:
        self.inner.select(rows)


@lru_cache(maxsize=64)
def side_by_side(chains: int, length: int) -> TreeShape:
    """`chains` chains of `length` nodes from the root."""
    return TreeShape(tuple(-1 if d == 0 else k * length + d - 1 for k in range(chains) for d in range(length)))
