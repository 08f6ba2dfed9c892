"""Acceptance by groups of near-identical units (after "principled coarse-grained acceptance", arXiv 2511.13732).

LOSSY on tokens, exact on groups. A unit that lies in several groups shares its probability among them. Draft and target
are compared as distributions over groups; an accepted draft keeps its own token, and a rejected one is replaced by a
token of a group from what is left of the target's. Chains only. Knows no model: the caller says which tokens are alike.
"""

from __future__ import annotations

import torch
from torch import Tensor

from spear_accel.decoding.noise import RowNoise
from spear_accel.decoding.proposal import Proposal, Verdict
from spear_accel.decoding.sampling import choose
from spear_accel.decoding.verify.base import draft_distribution, undrafted
from spear_accel.decoding.verify.spec import RuleInputs, RuleSpec
from spear_accel.decoding.verify.tree import residual
from spear_accel.errors import UserError

__all__ = ["RULE", "Grouped", "groups_within", "shares"]


class Grouped:
    """See `Verifier` for the method."""

    lossless = False

    def __init__(self, groups: Tensor) -> None:
        """groups: bool [G, V], true where the unit belongs to the group; each unit to one at least."""
        self.shares = shares(groups)

    def verify(self, proposal: Proposal, log_p: Tensor, noise: RowNoise) -> Verdict:
        if proposal.nodes == 0:
            return undrafted(log_p, noise)
        weights = self.shares.to(log_p)
        p, q = log_p.exp(), draft_distribution(proposal, log_p)
        group_p, group_q = p @ weights.T, q @ weights.T
        group = self._groups_of(proposal.tokens, noise)
        p_g, q_g = group_p[:, :-1].gather(-1, group[..., None]), group_q.gather(-1, group[..., None])
        nodes = torch.arange(proposal.nodes, device=log_p.device)
        passes = noise.acceptance_uniforms(proposal.nodes) * q_g[..., 0] < p_g[..., 0]
        accepted = (passes & (nodes < proposal.lengths[:, None])).long().cumprod(dim=1).sum(dim=1)
        rows = torch.arange(len(accepted), device=accepted.device)
        at = accepted.clamp_max(proposal.nodes - 1)
        left = residual(group_p[rows, accepted], group_q[rows, at])
        # A token of group h in proportion to its part in h: the distribution of the token is the sum over h.
        whole = group_p[rows, accepted].clamp_min(torch.finfo(p.dtype).tiny)
        recovered = ((left / whole) @ weights) * p[rows, accepted]
        distribution = torch.where((accepted < proposal.lengths)[:, None], recovered, p[rows, accepted])
        path = torch.where(nodes < accepted[:, None], nodes, -1)
        return Verdict(accepted, path, choose(distribution.log(), noise.residual_gumbel(accepted)))

    def _groups_of(self, tokens: Tensor, noise: RowNoise) -> Tensor:
        """One of the groups that hold each token, [B, N], drawn evenly."""
        held = self.shares.to(tokens.device).T[tokens]
        uniform = noise.group_uniforms(tokens.shape[1])[..., None]
        return (held.cumsum(dim=-1) > uniform * held.sum(dim=-1, keepdim=True)).long().argmax(dim=-1)


def shares(groups: Tensor) -> Tensor:
    """How much of a unit's probability each of its groups has: bool [G, V] -> float64 [G, V], columns sum to 1.

    Raises UserError where a unit is in no group.
    """
    number = groups.sum(dim=0)
    if bool((number == 0).any()):
        raise UserError(f"grouped acceptance: unit {int((number == 0).nonzero()[0])} is in no group")
    return groups.double() / number


def groups_within(centroids: Tensor, radius: float, vocab: int) -> Tensor:
    """A group round every unit: those whose centroids [units, D] lie within `radius` of its own. bool [vocab, vocab].

    Tokens that are no units (EOS) have groups of their own. radius: a share of the mean distance between centroids.
    """
    distances = torch.cdist(centroids.double(), centroids.double())
    units = len(centroids)
    mean = distances.sum() / (units * (units - 1))
    groups = torch.eye(vocab, dtype=torch.bool)
    groups[:units, :units] = distances <= radius * mean
    groups[:units, :units] |= torch.eye(units, dtype=torch.bool)
    return groups


def _make(inputs: RuleInputs) -> Grouped:
    if inputs.centroids is None:
        raise UserError("verify 'grouped' needs the centroids of the voice's speech tokenizer; take another rule")
    return Grouped(groups_within(inputs.centroids(), inputs.options.group_radius, inputs.vocab))


RULE = RuleSpec("grouped", "as often as the target's token is in its group of alike tokens", lossless=False, make=_make)
