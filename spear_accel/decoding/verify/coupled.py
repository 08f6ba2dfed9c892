"""Gumbel coupling: drafts and target share their noise, so the result is the target's own draw, exactly.

After Daliri et al. 2024, "Coupling without communication and drafter-invariant speculative decoding". Works on
chains and trees; with temperature 0 it is greedy verification. Knows no model.
"""

from __future__ import annotations

from collections.abc import Sequence

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
        return follow(proposal, choose(log_p, gumbel).tolist())

    def verify_draws(self, proposal: Proposal, draws: Sequence[Sequence[int]]) -> Verdict:
        """See `DrawVerifier.verify_draws`."""
        return follow(proposal, draws)


def follow(proposal: Proposal, draws: Sequence[Sequence[int]]) -> Verdict:
    """From the root along nodes whose token is the draw at their parent. draws: for each row N + 1 tokens.

    On the host: a few comparisons a row, where tensors would take a dozen operations. Tokens of siblings differ, so all
    the nodes that are reached lie on one path.
    """
    children, depth = proposal.shape.children, proposal.shape.depth
    paths: list[list[int]] = []
    finals: list[int] = []
    for own, drafted, count in zip(draws, proposal.drafted, proposal.counts, strict=True):
        path: list[int] = []
        at = -1
        while len(path) < depth:
            wanted = own[at + 1]
            at = next((node for node in children[at + 1] if node < count and drafted[node] == wanted), -1)
            if at < 0:
                break
            path.append(at)
        paths.append(path)
        finals.append(own[(path[-1] if path else -1) + 1])
    return Verdict.of(paths, finals, proposal.tokens.device)


RULE = RuleSpec(
    "coupled", "the token is the target's own draw with the shared noise", lossless=True, make=lambda inputs: Coupled(),
    drafts="tree", accepts_draws=True,
)  # fmt: skip
