"""k-SEQ: several independent drafts against one target distribution (SpecTr, Sun et al. 2023, arXiv 2310.15141).
Lossless.

Drafts pass with probability min(1, p / (rho q)), tried in order; rho is the smallest factor for which what is left of p
is a distribution. Drafts that agree with what was accepted go on to the next depth, as many as they are. Knows no
model.
"""

from __future__ import annotations

import torch
from torch import Tensor

from spear_accel.decoding.noise import RowNoise
from spear_accel.decoding.proposal import Proposal, Verdict
from spear_accel.decoding.sampling import choose
from spear_accel.decoding.verify.base import undrafted
from spear_accel.decoding.verify.spec import RuleSpec
from spear_accel.decoding.verify.tree import residual

__all__ = ["RULE", "KSeq", "leftover", "rho_star"]

_HALVINGS = 60


class KSeq:
    """Verifies K chains of equal length that were drawn independently: see `spear_accel.decoding.draft.iid`."""

    lossless = True

    def verify(self, proposal: Proposal, log_p: Tensor, noise: RowNoise) -> Verdict:
        """See `Verifier.verify`. Node number chain * depth + d of the proposal is token d of a chain."""
        if proposal.nodes == 0:
            return undrafted(log_p, noise)
        if proposal.log_q is None:
            raise ValueError("k-seq needs the distribution of the drafts in Proposal.log_q")
        length = proposal.shape.depth
        chains = proposal.nodes // length
        rows = torch.arange(proposal.rows, device=log_p.device)
        p, q = log_p.double().exp(), proposal.log_q.double().exp()
        tokens = proposal.tokens.view(-1, chains, length)
        alive = torch.ones_like(tokens[:, :, 0], dtype=torch.bool)
        leader, accepted = torch.zeros_like(rows), torch.zeros_like(rows)
        distribution, going = p[:, 0], torch.ones_like(rows, dtype=torch.bool)
        for depth in range(length):
            drafted, own = tokens[:, :, depth], q[rows, leader * length + depth]
            winner, rest = _level(distribution, own, drafted, alive, noise.candidate_uniforms(depth, chains).double())
            passed = going & (winner >= 0)
            distribution = torch.where((going & ~passed)[:, None], rest, distribution)
            leader = torch.where(passed, winner, leader)
            agree = drafted == drafted.gather(1, leader[:, None])
            alive = torch.where(passed[:, None], alive & agree, alive)
            accepted, going = accepted + passed, passed
            distribution = torch.where(going[:, None], p[rows, leader * length + depth + 1], distribution)
        steps = torch.arange(length, device=rows.device)
        path = torch.where(steps < accepted[:, None], leader[:, None] * length + steps, -1)
        return Verdict(accepted, path, choose(distribution.log(), noise.residual_gumbel(accepted)))


def _level(p: Tensor, q: Tensor, drafted: Tensor, alive: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
    """First live chain that passes, [B], -1 where none does, and the distribution [B, V] to draw from in that case."""
    count = alive.sum(dim=1).double()
    rho = rho_star(p, q, count)
    p_x, q_x = p.gather(1, drafted), q.gather(1, drafted)
    passes = alive & (uniform * rho[:, None] * q_x < p_x)
    first = passes.long().argmax(dim=1)
    winner = torch.where(passes.any(dim=1), first, -1)
    return winner, leftover(p, q, rho, count)


def rho_star(p: Tensor, q: Tensor, count: Tensor) -> Tensor:
    """Root in [1, k] of 1 - (1 - beta)^k = rho beta, beta = sum min(q, p / rho): [B]. p, q: [B, V]; count: k, [B]."""
    low, high = torch.ones_like(count), count.clamp_min(1.0)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        beta = _beta(p, q, middle)
        above = 1.0 - (1.0 - beta) ** count > middle * beta
        low, high = torch.where(above, middle, low), torch.where(above, high, middle)
    return high


def leftover(p: Tensor, q: Tensor, rho: Tensor, count: Tensor) -> Tensor:
    """Law [B, V] of the token drawn where no draft passed."""
    beta = _beta(p, q, rho)
    passed = 1.0 - (1.0 - beta) ** count
    scale = passed / beta.clamp_min(torch.finfo(p.dtype).tiny)
    return residual(p, torch.minimum(q, p / rho[:, None]) * scale[:, None])


def _beta(p: Tensor, q: Tensor, rho: Tensor) -> Tensor:
    return torch.minimum(q, p / rho[:, None]).sum(dim=1)


RULE = RuleSpec(
    "k-seq", "the first of several independent drafts that passes", lossless=True, make=lambda inputs: KSeq(),
    drafts="independent",
)  # fmt: skip
