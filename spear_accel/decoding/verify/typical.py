"""Typical acceptance (Medusa, Cai et al. 2024, arXiv 2401.10774). LOSSY: it keeps neither the tokens nor their
distribution.

A draft token passes where the target does not find it unlikely: p(x) > min(epsilon, delta exp(-H(p))), H the entropy in
nats of the distribution after temperature. The longest path wins, of equal ones the likelier; on chains and trees.
Knows no model.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from spear_accel.decoding.noise import RowNoise
from spear_accel.decoding.proposal import Proposal, Verdict
from spear_accel.decoding.sampling import choose
from spear_accel.decoding.verify.base import undrafted
from spear_accel.decoding.verify.spec import RuleSpec

__all__ = ["RULE", "Typical"]

EPSILON, DELTA = 0.09, 0.3
_DEPTH_FIRST = 1e4
"""Above any difference in log-probability between two paths."""


class Typical:
    """See `Verifier` for the method."""

    lossless = False

    def __init__(self, epsilon: float = EPSILON, delta: float = DELTA) -> None:
        self.epsilon, self.delta = epsilon, delta

    def verify(self, proposal: Proposal, log_p: Tensor, noise: RowNoise) -> Verdict:
        if proposal.nodes == 0:
            return undrafted(log_p, noise)
        gumbel = noise.gumbel(0, proposal.shape.depth + 1)
        depths = F.pad(proposal.shape.on(log_p.device).depths, (1, 0))
        draws = choose(log_p, None if gumbel is None else gumbel[:, depths])
        best = self._best(proposal, log_p)
        shape, nodes = proposal.shape.on(log_p.device), torch.arange(proposal.nodes, device=log_p.device)
        chosen = shape.ancestry[best.clamp_min(0)] & (best >= 0)[:, None]
        path = torch.where(chosen, nodes, proposal.nodes).sort(dim=1).values[:, : proposal.shape.depth]
        path = torch.where(path < proposal.nodes, path, -1)
        return Verdict(chosen.sum(dim=1), path, draws.gather(1, best[:, None] + 1)[:, 0])

    def _best(self, proposal: Proposal, log_p: Tensor) -> Tensor:
        """The deepest node [B] to which all pass, -1 where none does."""
        shape = proposal.shape.on(log_p.device)
        entropy = -(log_p.exp() * log_p.clamp_min(torch.finfo(log_p.dtype).min)).sum(dim=-1)
        limit = (self.delta * (-entropy).exp()).clamp_max(self.epsilon)
        said = log_p[:, shape.parents + 1].gather(-1, proposal.tokens[..., None])[..., 0]
        counts = torch.arange(proposal.nodes, device=log_p.device) < proposal.lengths[:, None]
        passes = counts & (said.exp() > limit[:, shape.parents + 1])
        above = shape.ancestry.to(log_p.dtype).T
        reached = passes.to(log_p.dtype) @ above == shape.depths
        likelihood = said.clamp_min(-_DEPTH_FIRST / (10 * len(shape.depths))) @ above
        score = torch.where(reached, shape.depths * _DEPTH_FIRST + likelihood, -torch.inf)
        return torch.where(reached.any(dim=1), score.argmax(dim=1), -1)


RULE = RuleSpec(
    "typical", "the target does not find the token unlikely", lossless=False, make=lambda inputs: Typical(),
    drafts="tree",
)  # fmt: skip
