"""Gumbel coupling: drafts and target share their noise, so the result is the target's own draw, exactly.

After Daliri et al. 2024, "Coupling without communication and drafter-invariant speculative decoding". Works on
chains and trees; with temperature 0 it is greedy verification. Knows no model.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from spear_accel.decoding.noise import RowNoise
from spear_accel.decoding.proposal import Proposal, Verdict
from spear_accel.decoding.sampling import choose
from spear_accel.decoding.verify.spec import RuleSpec

__all__ = ["RULE", "Coupled", "follow"]


class Coupled:
    """Follow the child whose token equals the target's draw; commit the target's draw at the first mismatch."""

    lossless = True

    def verify(self, proposal: Proposal, log_p: Tensor, noise: RowNoise) -> Verdict:
        """See `Verifier.verify`. The committed tokens do not depend on the proposal, only their number does."""
        gumbel = noise.gumbel(0, proposal.shape.depth + 1)
        if gumbel is not None and not proposal.shape.is_chain:
            depths = F.pad(proposal.shape.on(log_p.device).depths, (1, 0))
            gumbel = gumbel[:, depths]
        return follow(proposal, choose(log_p, gumbel))


def follow(proposal: Proposal, draws: Tensor) -> Verdict:
    """From the root along nodes whose token is the draw at their parent. draws: int64 [B, N + 1].

    Tokens of siblings differ, so all the nodes that are reached lie on one path.
    """
    if proposal.nodes == 0:
        nothing = torch.zeros_like(draws)
        return Verdict(nothing[:, 0], nothing[:, :0], draws[:, 0])
    if proposal.shape.is_chain:
        nodes = torch.arange(proposal.nodes, device=draws.device)
        counts = nodes < proposal.lengths[:, None]
        right = (proposal.tokens == draws[:, :-1]) & counts
        accepted = right.long().cumprod(dim=1).sum(dim=1)
        path = torch.where(nodes < accepted[:, None], nodes, -1)
        return Verdict(accepted, path, draws.gather(1, accepted[:, None])[:, 0])
    return _walk(proposal, draws)


def _walk(proposal: Proposal, draws: Tensor) -> Verdict:
    """`follow` on a tree, on the host: a few comparisons a row, where tensors would take a dozen operations."""
    children = proposal.shape.children
    paths: list[list[int]] = []
    for draw, drafted, count in zip(draws.tolist(), proposal.tokens.tolist(), proposal.lengths.tolist(), strict=True):
        path = [-1]
        while len(path) <= proposal.shape.depth:
            right = [node for node in children[path[-1] + 1] if node < count and drafted[node] == draw[path[-1] + 1]]
            if not right:
                break
            path.append(right[0])
        paths.append(path)
    padded = [[*path[1:], *[-1] * (proposal.shape.depth + 1 - len(path))] for path in paths]
    ends = torch.tensor([[len(path) - 1, path[-1] + 1] for path in paths], device=draws.device)
    return Verdict(ends[:, 0], torch.tensor(padded, device=draws.device), draws.gather(1, ends[:, 1:])[:, 0])


RULE = RuleSpec(
    "coupled", "the token is the target's own draw with the shared noise", lossless=True, make=lambda inputs: Coupled(),
    drafts="tree", accepts_draws=True,
)  # fmt: skip
