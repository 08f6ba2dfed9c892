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


class Coupled:
    """Follow the child whose token equals the target's draw; commit the target's draw at the first mismatch."""

    lossless = True

    def verify(self, proposal: Proposal, log_p: Tensor, noise: RowNoise) -> Verdict:
        """See `Verifier.verify`. The committed tokens do not depend on the proposal, only their number does."""
        if proposal.nodes == 0:
            draws = choose(log_p, noise.gumbel(0, 1))
            nothing = torch.zeros_like(draws)
            return Verdict(nothing[:, 0], nothing[:, :0], draws[:, 0])
        if proposal.is_chain:
            return follow_chain(proposal, choose(log_p, noise.gumbel(0, proposal.nodes + 1)))
        gumbel = noise.gumbel(0, int(proposal.depths.max()) + 1)
        if gumbel is not None:
            depths = F.pad(proposal.depths, (1, 0))
            gumbel = gumbel.gather(1, depths[..., None].expand(-1, -1, gumbel.shape[-1]))
        return follow(proposal, choose(log_p, gumbel))


def follow_chain(proposal: Proposal, draws: Tensor) -> Verdict:
    """`follow` where node i has parent i - 1, in a few operations."""
    nodes = torch.arange(proposal.nodes, device=draws.device)
    right = (proposal.tokens == draws[:, :-1]) & (nodes < proposal.lengths[:, None])
    accepted = right.long().cumprod(dim=1).sum(dim=1)
    path = torch.where(nodes < accepted[:, None], nodes, -1)
    return Verdict(accepted, path, draws.gather(1, accepted[:, None])[:, 0])


def follow(proposal: Proposal, draws: Tensor) -> Verdict:
    """Walk from the root along nodes whose token is the draw at their parent. draws: int64 [B, N + 1]."""
    counts = torch.arange(proposal.nodes, device=draws.device) < proposal.lengths[:, None]
    at = torch.full_like(draws[:, :1], -1)
    path = []
    while True:
        wanted = draws.gather(1, at + 1)
        child = counts & (proposal.parents == at) & (proposal.tokens == wanted)
        found, node = child.max(dim=1, keepdim=True)
        if not bool(found.any()):
            break
        path.append(torch.where(found, node, -1))
        at = torch.where(found, node, at)
        counts = counts & found
    steps = torch.cat(path, dim=1) if path else proposal.tokens[:, :0]
    final = draws.gather(1, at + 1)[:, 0]
    return Verdict((steps >= 0).sum(dim=1), steps, final)
