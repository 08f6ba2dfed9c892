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
    offered: list[Tensor] = []
    while len(offered) < current.draft_length and appraisal.goes_on:
        scores = current.noisy_scores(step(tokens), len(offered), drafted)
        highest = scores.topk(2, dim=-1)
        above, below = highest.values.unbind(-1)
        judged = appraisal.judge(reading, (above - below).T.tolist())
        places, kept, following = _place(reading, judged, parents)
        pairs = highest.indices.flatten(1)
        first = len(parents) - len(places)
        found = pairs[:, :1] if places == [0] else pairs[:, places]
        tokens = found[:, :1] if following == [first] else found[:, [node - first for node in following]]
        if fork is not None and kept != list(range(len(reading))):
            fork(kept)
        if current.history is not None:
            drafted = torch.cat((drafted, tokens), dim=1)
        offered.append(found)
        reading = following
    shape, drawn = tree(tuple(parents)), torch.cat(offered, dim=1)
    return Proposal.chain(drawn) if shape.is_chain else Proposal.tree(drawn, shape)


def _place(
    reading: list[int], judged: list[tuple[int, int]], parents: list[int]
) -> tuple[list[int], list[int], list[int]]:
    """Append the offered candidates behind the nodes of one depth to `parents`.

    Returns their places among the two best of each node, the places of the nodes that the draft goes on behind one or
    two candidates of, and these candidates as nodes.
    """
    places, kept, following = [], [], []
    for place, (node, (width, going)) in enumerate(zip(reading, judged, strict=True)):
        for rank in range(width):
            if rank < going:
                following.append(len(parents))
                kept.append(place)
            parents.append(node)
            places.append(2 * place + rank)
    return places, kept, following
