"""Drafting under a gate: a chain, a comb or, where the drafter can branch, a tree that the gate shapes as it is drawn.

All nodes of a depth are read in one step. Tokens are the highest of `log q + noise`, as in `draft/chain.py`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from spear_accel.decoding.context import DraftContext
from spear_accel.decoding.control.base import TreeGate
from spear_accel.decoding.proposal import Proposal
from spear_accel.decoding.tree import tree

__all__ = ["Branch", "Step", "draft_dynamic"]

Step = Callable[[Tensor], Tensor]
"""Reads the last tokens, int64 [B, n], and returns logits [B, n, V] of the next; first called with the last committed
token."""
Branch = Callable[[list[int]], None]
"""Makes the next step read one token behind each of these places of the last step; a place may be named twice or not at
all."""


def draft_dynamic(context: DraftContext, step: Step, gate: TreeGate, branch: Branch | None = None) -> Proposal:
    """Draft as the gate decides, at most as deep as the planned shape. `Proposal.log_q` is left out: the rule "coupled"
    does not read it."""
    tokens, drafted = context.last_token, context.last_token[:, :0]
    reading = [-1]
    parents: list[int] = []
    drawn: list[list[int]] = [[] for _ in range(len(tokens))]
    # A penalty would look at other tokens in every branch.
    branching = branch is not None and not context.looks_back
    depth = 0
    while depth < context.draft_length and gate.goes_on:
        # On the host from here: a few numbers, and every operation on a tensor costs more than all of them.
        pairs, scores = context.best_after(step(tokens), depth, drafted, 2)
        gaps = [[row[2 * place] - row[2 * place + 1] for row in scores] for place in range(len(reading))]
        offers = gate.decide(reading, gaps, branching)
        candidates, kept, following = _append(reading, offers, parents)
        for row, found in zip(drawn, pairs, strict=True):
            row += [found[2 * place + rank] for place, rank in candidates]
        tokens = torch.tensor([[row[node] for node in following] for row in drawn], device=tokens.device)
        if branch is not None and kept != list(range(len(reading))):
            branch(kept)
        if context.looks_back:
            drafted = torch.cat((drafted, tokens), dim=1)
        reading, depth = following, depth + 1
    shape, nodes = tree(tuple(parents)), torch.tensor(drawn, device=tokens.device)
    return Proposal.chain(nodes) if shape.is_chain else Proposal.tree(nodes, shape)


def _append(
    reading: list[int], offers: list[tuple[int, int]], parents: list[int]
) -> tuple[list[tuple[int, int]], list[int], list[int]]:
    """Append the offered candidates behind the nodes of one depth to `parents`.

    Returns:
        Of each candidate, the place of its parent among the nodes of the depth and its own rank there; the places that
        the draft goes on behind, once for each candidate read next; and these candidates as nodes.
    """
    candidates, kept, following = [], [], []
    for place, (node, (width, going)) in enumerate(zip(reading, offers, strict=True)):
        for rank in range(width):
            if rank < going:
                following.append(len(parents))
                kept.append(place)
            parents.append(node)
            candidates.append((place, rank))
    return candidates, kept, following
