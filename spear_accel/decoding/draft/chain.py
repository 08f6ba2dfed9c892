"""Drawing draft tokens with the noise that the target will use: chains, combs and trees.

With several candidates at a depth, these are the highest of `log q + noise`: a draw without replacement (Kool et al.
2019, "Stochastic beams") whose first is the one that a chain would have.
"""

from __future__ import annotations

import torch
from torch import Tensor

from spear_accel.decoding.draft.base import Round
from spear_accel.decoding.draft.grow import Fork, Step, grow
from spear_accel.decoding.proposal import Proposal
from spear_accel.decoding.sampling import choose
from spear_accel.decoding.tree import comb

__all__ = ["best", "draw_all", "draw_one_by_one"]


def draw_one_by_one(current: Round, step: Step, fork: Fork | None = None) -> Proposal:
    """A chain or a comb, the first candidate of each depth read before the next depth is drawn; or what the round's
    appraisal makes of it, a tree where the drafter can `fork`."""
    if current.appraisal is not None:
        return grow(current, step, current.appraisal, fork)
    gumbel = current.noise.gumbel(0, current.draft_length)
    token = current.pending
    drafted = token[:, :0]
    laws, candidates = [], []
    going, lengths = torch.ones_like(token, dtype=torch.bool), torch.zeros_like(token)
    for depth, width in enumerate(current.wanted.widths):
        logits = step(token)
        log_q = current.log_probabilities(logits, depth, drafted)
        found = best(log_q, None if gumbel is None else gumbel[:, depth : depth + 1], width)[:, 0]
        token = found if width == 1 else found[:, :1]
        if current.history is not None:
            drafted = torch.cat((drafted, token), dim=1)
        laws.append(log_q)
        candidates.append(found)
        if current.stop is not None:
            lengths = lengths + going
            # The law of a greedy draft is certain of everything, so its doubts show in the logits alone.
            going = going & ~current.stop(logits.float().log_softmax(-1) if gumbel is None else log_q, token)
            if not bool(going.any()):
                break
    tokens, shape = torch.cat(candidates, dim=1), comb(current.wanted.widths)
    if shape.is_chain:
        counts = None if current.stop is None else lengths[:, 0]
        return Proposal.chain(tokens, counts, torch.cat(laws, dim=1))
    return Proposal.tree(tokens, shape)


def draw_all(current: Round, logits: Tensor) -> Proposal:
    """Any tree, from logits [B, at least the draft length, V] that were made at once."""
    shape, count = current.wanted, current.draft_length
    logits = logits[:, :count]
    if current.history is not None:
        # A penalty looks at the tokens drawn before: one by one after all.
        coming = iter(torch.split(logits, 1, dim=1))
        return draw_one_by_one(current, lambda _: next(coming))
    log_q, gumbel = current.log_probabilities(logits, 0, current.pending[:, :0]), current.noise.gumbel(0, count)
    if shape.is_chain:
        return Proposal.chain(choose(log_q, gumbel), log_q=log_q)
    tensors = shape.on(logits.device)
    found = best(log_q, gumbel, tensors.children.shape[1])
    return Proposal.tree(found[:, tensors.depths - 1, tensors.ranks - 1], shape)


def best(log_q: Tensor, gumbel: Tensor | None, width: int) -> Tensor:
    """The `width` highest noisy scores of log_q [B, n, V], best first: int64 [B, n, width]."""
    if width == 1:
        return choose(log_q, gumbel)[..., None]
    return (log_q if gumbel is None else log_q + gumbel).topk(width, dim=-1).indices
