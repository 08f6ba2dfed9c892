"""Drawing draft tokens with the noise that the target will use: a chain, and candidates beside it.

With several candidates at a depth, these are the highest of `log q + noise`: a draw without replacement (Kool et al.
2019, "Stochastic beams") whose first is the one that a chain would have. The draft goes on behind the first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from spear_accel.decoding.draft.base import Round
from spear_accel.decoding.proposal import Proposal
from spear_accel.decoding.sampling import choose
from spear_accel.decoding.tree import comb

__all__ = ["draw_all", "draw_one_by_one"]


def draw_one_by_one(current: Round, step: Callable[[Tensor], Tensor]) -> Proposal:
    """Tokens of every row, the first candidate of each depth read before the next depth is drawn.

    step: the last token [B, 1] -> logits [B, 1, V] of the next; called first with the committed token.
    """
    gumbel = current.noise.gumbel(0, current.draft_length)
    token = current.pending
    drafted = token[:, :0]
    laws, candidates = [], []
    for depth, width in enumerate(current.widths):
        log_q = current.log_probabilities(step(token), depth, drafted)
        found = _best(log_q, None if gumbel is None else gumbel[:, depth : depth + 1], width)
        token = found[:, :1]
        drafted = torch.cat((drafted, token), dim=1)
        laws.append(log_q)
        candidates.append(found)
    return _proposal(current, candidates, laws)


def draw_all(current: Round, logits: Tensor) -> Proposal:
    """The same for logits [B, at least the draft length, V] that were made at once."""
    ready = torch.split(logits[:, : current.draft_length], 1, dim=1)
    if current.history is not None or max(current.widths) > 1:
        # A penalty looks at the tokens drawn before: one by one after all.
        coming = iter(ready)
        return draw_one_by_one(current, lambda _: next(coming))
    log_q = current.log_probabilities(torch.cat(ready, dim=1), 0, current.pending[:, :0])
    return Proposal.chain(choose(log_q, current.noise.gumbel(0, current.draft_length)), log_q=log_q)


def _best(log_q: Tensor, gumbel: Tensor | None, width: int) -> Tensor:
    """The `width` highest noisy scores of log_q [B, 1, V], best first: int64 [B, width]."""
    if width == 1:
        return choose(log_q, gumbel)
    scores = log_q if gumbel is None else log_q + gumbel
    return scores[:, 0].topk(min(width, scores.shape[-1]), dim=-1).indices


def _proposal(current: Round, candidates: Sequence[Tensor], laws: Sequence[Tensor]) -> Proposal:
    tokens = torch.cat(list(candidates), dim=1)
    if tokens.shape[1] == len(candidates):
        return Proposal.chain(tokens, log_q=torch.cat(list(laws), dim=1))
    return Proposal.tree(tokens, comb(tuple(found.shape[1] for found in candidates)))
