"""Drawing a chain of draft tokens, one after another, with the noise that the target will use."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from spear_accel.decoding.draft.base import Round
from spear_accel.decoding.proposal import Proposal
from spear_accel.decoding.sampling import choose

__all__ = ["draw_all", "draw_chain"]


def draw_chain(current: Round, count: int, step: Callable[[Tensor], Tensor]) -> Proposal:
    """`count` tokens per row, each read before the next is drawn.

    step: the last token [B, 1] -> logits [B, 1, V] of the next; called first with the committed token.
    """
    gumbel = current.noise.gumbel(0, count)
    token = current.pending
    drafted = token[:, :0]
    laws = []
    for depth in range(count):
        log_q = current.log_probabilities(step(token), depth, drafted)
        token = choose(log_q, None if gumbel is None else gumbel[:, depth : depth + 1])
        drafted = torch.cat((drafted, token), dim=1)
        laws.append(log_q)
    return Proposal.chain(drafted, log_q=torch.cat(laws, dim=1))


def draw_all(current: Round, logits: Tensor) -> Proposal:
    """One token per row for each of the logits [B, N, V], which were made at once."""
    count = logits.shape[1]
    if current.history is not None:
        # A penalty looks at the tokens drawn before: one by one after all.
        ready = iter(torch.split(logits, 1, dim=1))
        return draw_chain(current, count, lambda _: next(ready))
    log_q = current.log_probabilities(logits, 0, current.pending[:, :0])
    return Proposal.chain(choose(log_q, current.noise.gumbel(0, count)), log_q=log_q)
