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
    nodes = torch.arange(proposal.nodes, device=draws.device)
    counts = nodes < proposal.lengths[:, None]
    if proposal.shape.is_chain:
        right = (proposal.tokens == draws[:, :-1]) & counts
        accepted = right.long().cumprod(dim=1).sum(dim=1)
        path = torch.where(nodes < accepted[:, None], nodes, -1)
        return Verdict(accepted, path, draws.gather(1, accepted[:, None])[:, 0])
    shape = proposal.shape.on(draws.device)
    right = (proposal.tokens == draws[:, shape.parents + 1]) & counts
    reached = right.float() @ shape.ancestry.float().T == shape.depths
    path = torch.where(reached, nodes, proposal.nodes).sort(dim=1).values[:, : proposal.shape.depth]
    path = torch.where(path < proposal.nodes, path, -1)
    last = torch.where(reached, nodes + 1, 0).amax(dim=1, keepdim=True)
    return Verdict(reached.sum(dim=1), path, draws.gather(1, last)[:, 0])
