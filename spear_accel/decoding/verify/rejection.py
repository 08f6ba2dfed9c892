"""Speculative sampling (Leviathan et al. 2022, arXiv 2211.17192; Chen et al. 2023, arXiv 2302.01318).

Keeps the distribution of the target, not its tokens: the same seed gives other tokens than `coupled` does. With a
lenience below 1 (Leviathan's appendix) more drafts pass and the distribution is no longer kept; that is for chains
only. Knows no model.
"""

from __future__ import annotations

import torch
from torch import Tensor

from spear_accel.decoding.noise import RowNoise
from spear_accel.decoding.proposal import Proposal, Verdict
from spear_accel.decoding.sampling import choose
from spear_accel.decoding.verify.base import draft_distribution, undrafted
from spear_accel.decoding.verify.spec import RuleSpec
from spear_accel.decoding.verify.tree import residual, verify_tree

__all__ = ["LENIENT", "RULE", "Lenient", "Rejection"]


class Rejection:
    """Accept a draft token x with probability min(1, p(x) / q(x)); after a rejection draw from norm([p - q]+)."""

    lossless = True
    lenience = 1.0

    def verify(self, proposal: Proposal, log_p: Tensor, noise: RowNoise) -> Verdict:
        """See `Verifier.verify`. `proposal.log_q` must be the distribution each token was really drawn from; a proposal
        without one is certain of its tokens."""
        if proposal.nodes == 0:
            return undrafted(log_p, noise)
        if not proposal.shape.is_chain:
            return verify_tree(proposal, log_p, noise)
        q = draft_distribution(proposal, log_p) * self.lenience
        accepted = self._accepted(proposal, log_p.exp(), q, noise)
        return _verdict(proposal, accepted, self._final(proposal, log_p, q, accepted, noise))

    def _accepted(self, proposal: Proposal, p: Tensor, q: Tensor, noise: RowNoise) -> Tensor:
        """Length [B] of each row's accepted chain."""
        drafted = proposal.tokens[..., None]
        p_x, q_x = p[:, :-1].gather(-1, drafted)[..., 0], q.gather(-1, drafted)[..., 0]
        # Multiplied out and strict, so that p = 0 never passes and q = 0 needs no division.
        passes = noise.acceptance_uniforms(proposal.nodes) * q_x < p_x
        counts = torch.arange(proposal.nodes, device=p.device) < proposal.lengths[:, None]
        return (passes & counts).long().cumprod(dim=1).sum(dim=1)

    def _final(self, proposal: Proposal, log_p: Tensor, q: Tensor, accepted: Tensor, noise: RowNoise) -> Tensor:
        """The recovered token after a rejection, the bonus token after a whole draft, [B]."""
        rows = torch.arange(len(accepted), device=accepted.device)
        at_p = log_p[rows, accepted]
        at_q = q[rows, accepted.clamp_max(proposal.nodes - 1)]
        rejected = accepted < proposal.lengths
        distribution = torch.where(rejected[:, None], residual(at_p.exp(), at_q).log(), at_p)
        return choose(distribution, noise.residual_gumbel(accepted))


class Lenient(Rejection):
    """Accept with min(1, p(x) / (l q(x))), l below 1: longer drafts, no token more likely than p / l. LOSSY."""

    lossless = False

    def __init__(self, lenience: float) -> None:
        """lenience: l in (0, 1]."""
        self.lenience = lenience


def _verdict(proposal: Proposal, accepted: Tensor, final: Tensor) -> Verdict:
    nodes = torch.arange(proposal.nodes, device=accepted.device)
    path = torch.where(nodes < accepted[:, None], nodes, -1)
    return Verdict(accepted, path, final)


RULE = RuleSpec("rejection", "with min(1, p / q): speculative sampling", lossless=True, make=lambda inputs: Rejection())
LENIENT = RuleSpec(
    "lenient", "with min(1, p / (lenience * q))", lossless=False, make=lambda inputs: Lenient(inputs.options.lenience)
)
