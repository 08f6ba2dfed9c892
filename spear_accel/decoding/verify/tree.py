"""Recursive rejection on trees: lossless for several drafts at once (SpecInfer, Miao et al. 2023, arXiv 2305.09781).

At each node its children are tried in the order in which they were drawn. A rejected child takes its distribution out
of the target's, and where children were drawn without replacement it can no longer be drawn by the next (Jeon et al.
2024, arXiv 2402.14160). One uniform number per node, never one per path. Knows no model.
"""

from __future__ import annotations

import torch
from torch import Tensor

from spear_accel.decoding.noise import RowNoise
from spear_accel.decoding.proposal import Proposal, Verdict
from spear_accel.decoding.sampling import choose

__all__ = ["remove", "residual", "verify_tree"]


def verify_tree(proposal: Proposal, log_p: Tensor, noise: RowNoise, *, replacement: bool = False) -> Verdict:
    """Walk down from the root; see `Verifier.verify`.

    replacement: whether siblings were drawn independently. A proposal without a distribution is certain of its tokens.
    """
    walk = _Walk(proposal, log_p, replacement)
    for depth in range(proposal.shape.depth):
        walk.descend(noise.candidate_uniforms(depth, walk.children.shape[1]))
    accepted = torch.stack(walk.path, dim=1)
    return Verdict(
        (accepted >= 0).sum(dim=1), accepted, choose(walk.distribution.log(), noise.residual_gumbel(walk.steps))
    )


class _Walk:
    """Where each row stands: the node reached, and the distribution of the token to draw if it stops there."""

    def __init__(self, proposal: Proposal, log_p: Tensor, replacement: bool) -> None:
        self.proposal, self.p, self.replacement = proposal, log_p.exp(), replacement
        self.rows = torch.arange(proposal.rows, device=log_p.device)
        self.children = proposal.shape.on(log_p.device).children
        self.node = torch.full_like(self.rows, -1)
        self.moving = torch.ones_like(self.rows, dtype=torch.bool)
        self.steps = torch.zeros_like(self.rows)
        self.distribution = self.p[:, 0]
        self.path: list[Tensor] = []

    def descend(self, uniform: Tensor) -> None:
        """One level. uniform: [B, most children]."""
        children = self.children[self.node + 1]
        children = torch.where(children < self.proposal.lengths[:, None], children, -1)
        chosen = torch.full_like(self.node, -1)
        distribution, draft = self.distribution, self._draft_distribution(children[:, 0])
        for rank in range(children.shape[1]):
            child = children[:, rank]
            tried = self.moving & (chosen < 0) & (child >= 0)
            token = self.proposal.tokens[self.rows, child.clamp_min(0)]
            q = draft if draft is not None else _certain(token, distribution)
            p_x, q_x = distribution[self.rows, token], q[self.rows, token]
            passes = tried & (uniform[:, rank] * q_x < p_x)
            chosen = torch.where(passes, child, chosen)
            failed = (tried & ~passes)[:, None]
            distribution = torch.where(failed, residual(distribution, q), distribution)
            if draft is not None and not self.replacement:
                draft = torch.where(failed, remove(draft, token), draft)
        self.moving = self.moving & (chosen >= 0)
        self.steps = self.steps + self.moving
        self.node = torch.where(self.moving, chosen, self.node)
        self.distribution = torch.where(self.moving[:, None], self.p[self.rows, self.node + 1], distribution)
        self.path.append(torch.where(self.moving, chosen, -1))

    def _draft_distribution(self, child: Tensor) -> Tensor | None:
        """Law [B, V] that the children were drawn from, None where drafts are certain."""
        if self.proposal.log_q is None:
            return None
        return self.proposal.log_q[self.rows, child.clamp_min(0)].exp()


def residual(p: Tensor, q: Tensor) -> Tensor:
    """norm([p - q]+) [..., V]; p itself where nothing is left (rounding can leave 0 / 0)."""
    left = (p - q).clamp_min(0.0)
    total = left.sum(dim=-1, keepdim=True)
    return torch.where((total > 0.0) & total.isfinite(), left / total, p)


def remove(q: Tensor, token: Tensor) -> Tensor:
    """q [B, V] without `token` [B], normalised; all zero where nothing else was possible."""
    left = q.scatter(-1, token[:, None], 0.0)
    return left / left.sum(dim=-1, keepdim=True).clamp_min(torch.finfo(q.dtype).tiny)


def _certain(token: Tensor, like: Tensor) -> Tensor:
    return torch.zeros_like(like).scatter_(-1, token[:, None], 1.0)
