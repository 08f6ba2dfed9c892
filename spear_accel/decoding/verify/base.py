"""The verification contract. Knows proposals and probabilities, never a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from spear_accel.decoding.noise import RowNoise
from spear_accel.decoding.proposal import Proposal, Verdict
from spear_accel.decoding.sampling import choose


def undrafted(log_p: Tensor, noise: RowNoise) -> Verdict:
    """What every rule makes of an empty proposal: one token drawn from log_p [B, 1, V]."""
    draws = choose(log_p, noise.gumbel(0, 1))
    nothing = torch.zeros_like(draws)
    return Verdict(nothing[:, 0], nothing[:, :0], draws[:, 0])


def draft_distribution(proposal: Proposal, log_p: Tensor) -> Tensor:
    """q [B, N, V] of the nodes; one-hot where the draft is certain of its tokens. log_p: the target's [B, N + 1, V]."""
    if proposal.log_q is not None:
        return proposal.log_q.exp()
    return torch.zeros_like(log_p[:, :-1]).scatter_(-1, proposal.tokens[..., None], 1.0)


class Verifier(Protocol):
    """Decides how much of a proposal is committed."""

    lossless: bool
    """Whether the committed tokens follow the target's distribution exactly."""

    def verify(self, proposal: Proposal, log_p: Tensor, noise: RowNoise) -> Verdict:
        """log_p: float32 [B, N + 1, V], the target's distribution after the root (0) and after each node i (i + 1)."""


@runtime_checkable
class DrawVerifier(Verifier, Protocol):
    """A rule that asks for nothing but the target's own draws by the shared noise: no probabilities are made for it."""

    def verify_draws(self, proposal: Proposal, draws: Sequence[Sequence[int]]) -> Verdict:
        """draws: for each row what the target draws behind the root and behind each node, N + 1 tokens; negative where
        it returned NaN."""
