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
    """At most as deep as the wanted shape. The laws are not kept: the coupled rule does not ask for them."""
    tokens, drafted = current.pending, current.pending[:, :0]
    reading = [-1]
    parents: list[int] = []
    said: list[list[int]] = [[] for _ in range(len(tokens))]
    depth = 0
    while depth < current.draft_length and appraisal.goes_on:
        highest = current.noisy_scores(step(tokens), depth, drafted).topk(2, dim=-1)
        # On the host from here: a few numbers, and every operation on a tensor costs more than all of them.
        scores, pairs = highest.values.tolist(), highest.indices.tolist()
        judged = appraisal.judge(
            reading, [[best - next for best, next in column] for column in zip(*scores, strict=True)]
        )
        places, kept, following = _place(reading, judged, parents)
        for row, found in zip(said, pairs, strict=True):
            row += [found[place][rank] for place, rank in places]
        tokens = torch.tensor([[row[node] for node in following] for row in said], device=tokens.device)
        if fork is not None and kept != list(range(len(reading))):
            fork(kept)
        if current.history is not None:
            drafted = torch.cat((drafted, tokens), dim=1)
        reading, depth = following, depth + 1
    shape, drawn = tree(tuple(parents)), torch.tensor(said, device=tokens.device)
    return Proposal.chain(drawn) if shape.is_chain else Proposal.tree(drawn, shape)


def _place(
    reading: list[int], judged: list[tuple[int, int]], parents: list[int]
) -> tuple[list[tuple[int, int]], list[int], list[int]]:
    """Append the offered candidates behind the nodes of one depth to `parents`.

    Returns, of each, the place of its node and its rank there; the places of the nodes that the draft goes on behind
    one or two candidates of; and these candidates as nodes.
    """
    places, kept, following = [], [], []
    for place, (node, (width, going)) in enumerate(zip(reading, judged, strict=True)):
        for rank in range(width):
            if rank < going:
                following.append(len(parents))
                kept.append(place)
            parents.append(node)
            places.append((place, rank))
    return places, kept, following
