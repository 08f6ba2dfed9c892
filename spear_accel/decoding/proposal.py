"""What drafters hand to verifiers and verifiers to the engine: `Proposal` and `Verdict`. Plain tensors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from spear_accel.decoding.tree import TreeShape, chain


@dataclass(frozen=True)
class Proposal:
    """N drafted nodes per row, behind the row's last committed token (the root, node -1).

    tokens: int64 [B, N]; shape: which node follows which, the same in all rows; lengths: int64 [B], how many of a
    row's nodes count, from the first on.
    log_q: float [B, N, V], the distribution each node was really drawn from; None if drafts are certain or no rule
    asks.
    hidden: float [B, N + 1, D], the states that left the target's first `layers` layers on root and nodes, if the
    drafter has run these layers already (and written their cache): the verify call goes on from there.
    """

    tokens: Tensor
    shape: TreeShape
    lengths: Tensor
    log_q: Tensor | None = None
    hidden: Tensor | None = None
    layers: int = 0

    @property
    def rows(self) -> int:
        return self.tokens.shape[0]

    @property
    def nodes(self) -> int:
        """N, the same for all rows; `lengths` says how many count."""
        return self.tokens.shape[1]

    @classmethod
    def tree(cls, tokens: Tensor, shape: TreeShape) -> Proposal:
        """All nodes count. tokens: int64 [B, N]."""
        rows, nodes = tokens.shape
        return cls(tokens, shape, torch.full((rows,), nodes, device=tokens.device))

    @classmethod
    def chain(cls, tokens: Tensor, lengths: Tensor | None = None, log_q: Tensor | None = None) -> Proposal:
        """One drafted sequence per row. tokens: int64 [B, N]; lengths: int64 [B]; by default all N."""
        rows, nodes = tokens.shape
        if lengths is None:
            lengths = torch.full((rows,), nodes, device=tokens.device)
        return cls(tokens, chain(nodes), lengths, log_q)

    @classmethod
    def empty(cls, rows: int, device: torch.device) -> Proposal:
        """No draft: the round is one autoregressive step."""
        return cls.chain(torch.zeros(rows, 0, dtype=torch.int64, device=device))


@dataclass(frozen=True)
class Verdict:
    """What a round commits in each row: the accepted path, then one recovered or bonus token.

    accepted: int64 [B], length of the accepted path; path: int64 [B, P], its nodes in order, -1 behind its
    end; final: int64 [B], the recovered token (after a rejection) or the bonus token.
    """

    accepted: Tensor
    path: Tensor
    final: Tensor

    def committed(self, proposal: Proposal) -> list[list[int]]:
        """The committed tokens of each row, on the host."""
        drafted = proposal.tokens.gather(1, self.path.clamp_min(0)).tolist()
        rows = zip(drafted, self.accepted.tolist(), self.final.tolist(), strict=True)
        return [[*tokens[:count], final] for tokens, count, final in rows]
