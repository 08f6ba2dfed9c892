"""Several independent drafts of any sampling drafter, side by side in one tree (for k-SEQ).

Each draft has noise of its own; the drafter is asked once for each. Knows no head.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import torch
from torch import Tensor

from spear_accel.decoding.context import DraftContext
from spear_accel.decoding.control.base import DraftPlan
from spear_accel.decoding.draft.base import Drafter, Topology
from spear_accel.decoding.proposal import Proposal, Verdict
from spear_accel.decoding.tree import TreeShape, chain
from spear_accel.model import DecoderState

__all__ = ["IndependentDrafts", "side_by_side"]


class IndependentDrafts:
    """See `Drafter` for the methods. Node number chain * depth + d is token d of a chain."""

    autoregressive = False

    def __init__(self, inner: Drafter) -> None:
        """inner: samples its drafts and leaves nothing behind but what its last draft wrote."""
        self.inner, self.longest = inner, inner.longest
        self.topology: Topology = inner.topology

    def reset(self, rows: int, capacity: int, text_capacity: int) -> None:
        self.inner.reset(rows, capacity, text_capacity)

    def add_rows(self, state: DecoderState, texts: Tensor) -> None:
        self.inner.add_rows(state, texts)

    def propose(self, context: DraftContext) -> Proposal:
        """Chain 0 is drawn last: what the drafter remembers is of that one."""
        if not context.draft_length:
            return self.inner.propose(context)
        chains = len(context.shape.children[0])
        plain = replace(context, plan=DraftPlan(chain(context.draft_length)))
        drawn = [
            self.inner.propose(replace(plain, noise=context.noise.stream(number))) for number in reversed(range(chains))
        ][::-1]
        if not drawn[0].nodes:
            return drawn[0]
        log_qs = [proposal.log_q for proposal in drawn]
        tokens = torch.cat([proposal.tokens for proposal in drawn], dim=1)
        known = [log_q for log_q in log_qs if log_q is not None]
        proposal = Proposal.tree(tokens, context.shape)
        return replace(proposal, log_q=torch.cat(known, dim=1) if len(known) == len(log_qs) else None)

    def commit(self, verdict: Verdict, hidden: Tensor) -> None:
        self.inner.commit(verdict, hidden)

    def select(self, rows: Sequence[int]) -> None:
        self.inner.select(rows)


@lru_cache(maxsize=64)
def side_by_side(chains: int, length: int) -> TreeShape:
    """`chains` chains of `length` nodes from the root."""
    return TreeShape(tuple(-1 if d == 0 else k * length + d - 1 for k in range(chains) for d in range(length)))
