"""Drawing draft tokens with the noise that the target will use: chains, combs and trees.

With several candidates at a depth, these are the highest of `log q + noise`: a draw without replacement (Kool et al.
2019, "Stochastic beams") whose first is the one that a chain would have.
"""

from __future__ import annotations

import torch
from torch import Tensor

from spear_accel.decoding.context import DraftContext
from spear_accel.decoding.control.base import ExitGate, TreeGate
from spear_accel.decoding.draft.dynamic import Branch, Step, draft_dynamic
from spear_accel.decoding.proposal import Proposal
from spear_accel.decoding.sampling import choose
from spear_accel.decoding.tree import comb

__all__ = ["draft_parallel", "draft_stepwise", "top_candidates"]


def draft_stepwise(context: DraftContext, step: Step, branch: Branch | None = None) -> Proposal:
    """Draw one depth after another, the first candidate of each read before the next is drawn.

    Args:
        context: The round; its plan says how deep and wide to draft, its gate may decide otherwise on the way.
        step: Reads tokens and returns logits.
        branch: For drafters that can go on behind several candidates of a depth, where a gate asks for it.

    Returns:
        A chain or a comb; under a `TreeGate` what it decides, a tree with `branch`.
    """
    gate = context.gate
    if isinstance(gate, TreeGate):
        return draft_dynamic(context, step, gate, branch)
    exits = gate if isinstance(gate, ExitGate) else None
    if not context.laws and exits is None:
        return _draft_tokens(context, step)
    gumbel = context.noise.gumbel(0, context.draft_length)
    token = context.last_token
    drafted = token[:, :0]
    log_qs, candidates = [], []
    going, lengths = torch.ones_like(token, dtype=torch.bool), torch.zeros_like(token)
    for depth, width in enumerate(context.shape.widths):
        logits = step(token)
        log_q = context.log_probs(logits, depth, drafted)
        found = top_candidates(log_q, None if gumbel is None else gumbel[:, depth : depth + 1], width)[:, 0]
        token = found if width == 1 else found[:, :1]
        if context.looks_back:
            drafted = torch.cat((drafted, token), dim=1)
        log_qs.append(log_q)
        candidates.append(found)
        if exits is not None:
            lengths = lengths + going
            # A greedy draft has all its probability on one token, so only its logits show that it is unsure.
            going = going & ~exits.stops(logits.float().log_softmax(-1) if gumbel is None else log_q, token)
            if not bool(going.any()):
                break
    tokens, shape = torch.cat(candidates, dim=1), comb(context.shape.widths)
    if shape.is_chain:
        return Proposal.chain(tokens, None if exits is None else lengths[:, 0], torch.cat(log_qs, dim=1))
    return Proposal.tree(tokens, shape)


def _draft_tokens(context: DraftContext, step: Step) -> Proposal:
    """`draft_stepwise` for rules that ask for nothing but tokens, on the host."""
    token = context.last_token
    drafted = token[:, :0]
    found: list[list[int]] = [[] for _ in range(len(token))]
    for depth, width in enumerate(context.shape.widths):
        tokens, _ = context.best_after(step(token), depth, drafted, width)
        for row, own in zip(found, tokens, strict=True):
            row += own
        token = torch.tensor([own[:1] for own in tokens], device=token.device)
        if context.looks_back:
            drafted = torch.cat((drafted, token), dim=1)
    return Proposal.tree(torch.tensor(found, device=token.device), comb(context.shape.widths))


def draft_parallel(context: DraftContext, logits: Tensor) -> Proposal:
    """Draw the planned shape, whatever tree it is, from logits [B, at least the draft length, V] made at once."""
    shape, count = context.shape, context.draft_length
    logits = logits[:, :count]
    if context.looks_back:
        # A penalty or a rule looks at the tokens drawn before: one by one after all.
        coming = iter(torch.split(logits, 1, dim=1))
        return draft_stepwise(context, lambda _: next(coming))
    if not context.laws:
        most = max(shape.ranks)
        drawn, _ = context.best(logits, range(count), most)
        places = [most * (depth - 1) + rank - 1 for depth, rank in zip(shape.depths, shape.ranks, strict=True)]
        tokens = torch.tensor([[row[place] for place in places] for row in drawn], device=logits.device)
        return Proposal.tree(tokens, shape)
    log_q, gumbel = context.log_probs(logits, 0, context.last_token[:, :0]), context.noise.gumbel(0, count)
    if shape.is_chain:
        return Proposal.chain(choose(log_q, gumbel), log_q=log_q)
    tensors = shape.on(logits.device)
    found = top_candidates(log_q, gumbel, tensors.children.shape[1])
    return Proposal.tree(found[:, tensors.depths - 1, tensors.ranks - 1], shape)


def top_candidates(log_q: Tensor, gumbel: Tensor | None, width: int) -> Tensor:
    """The `width` highest noisy scores of log_q [B, n, V], best first: int64 [B, n, width]."""
    if width == 1:
        return choose(log_q, gumbel)[..., None]
    return (log_q if gumbel is None else log_q + gumbel).topk(width, dim=-1).indices
