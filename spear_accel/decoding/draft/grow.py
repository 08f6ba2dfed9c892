"""Drawing a draft that an appraisal shapes while it grows: a chain, a comb or, where the drafter can fork, a tree.

All nodes of a depth are read in one step. Tokens are the highest of `log q + noise`, as in `draft/chain.py`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from spear_accel.decoding.draft.base import Appraisal, Round
from spear_accel.decoding.proposal import Proposal
from spear_accel.decoding.tree import tree

__all__ = ["Fork", "Step", "grow"]

Step = Callable[[Tensor], Tensor]
"""The last tokens [B, n] -> logits [B, n, V] of the next; called first with the committed token."""
Fork = Callable[[list[int]], None]
"""The next step reads one token behind each of these places of the last step, which may be named twice or left out."""


def grow(current: Round, step: Step, appraisal: Appraisal, fork: Fork | None = None) -> Proposal:
    """At most as deep as the wanted shape."""
    gumbel = current.noise.gumbel(0, current.draft_length)
    tokens, drafted = current.pending, current.pending[:, :0]
    reading = [-1]
    parents: list[int] = []
    laws, offered = [], []
    depth = 0
    while depth < current.draft_length and appraisal.goes_on:
        logits = step(tokens)
        chain = logits.shape[1] == 1
        log_q = (
            current.log_probabilities(logits, depth, drafted)
            if chain
            else current.siblings_log_probabilities(logits, depth)
        )
        pairs, gaps = _best_two(logits, log_q, None if gumbel is None else gumbel[:, depth : depth + 1])
        places, kept, following = [], [], []
        for place, (node, (width, going)) in enumerate(zip(reading, appraisal.judge(reading, gaps), strict=True)):
            for rank in range(width):
                if rank < going:
                    following.append(len(parents))
                    kept.append(place)
                parents.append(node)
                places.append(2 * place + rank)
        found = pairs[:, places] if places != [0] else pairs[:, :1]
        offered.append(found)
        first = len(parents) - len(places)
        tokens = found[:, [node - first for node in following]] if following != [first] else found[:, :1]
        if fork is not None and kept != list(range(len(reading))):
            fork(kept)
        if current.history is not None:
            drafted = torch.cat((drafted, tokens), dim=1)
        laws.append(log_q)
        reading, depth = following, depth + 1
    shape, drawn = tree(tuple(parents)), torch.cat(offered, dim=1)
    return Proposal.chain(drawn, log_q=torch.cat(laws, dim=1)) if shape.is_chain else Proposal.tree(drawn, shape)


def _best_two(logits: Tensor, log_q: Tensor, gumbel: Tensor | None) -> tuple[Tensor, list[list[float]]]:
    """Tokens [B, 2 n], best first behind each of n nodes, and by how much: by node and row."""
    # The law of a greedy draft is certain of everything, so its doubts show in the logits alone.
    highest = (logits.float() if gumbel is None else log_q + gumbel).topk(2, dim=-1)
    above, below = highest.values.unbind(-1)
    pairs = highest.indices
    if gumbel is None:
        # A penalty or a ban may have passed over the best logit.
        chosen = log_q.argmax(-1, keepdim=True)
        pairs = torch.cat((chosen, torch.where(pairs[..., :1] == chosen, pairs[..., 1:], pairs[..., :1])), dim=-1)
    return pairs.flatten(1), (above - below).T.tolist()
