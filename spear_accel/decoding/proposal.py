"""What drafters hand to verifiers and verifiers to the engine: `Proposal` and `Verdict`. Plain tensors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Proposal:
    """N drafted nodes per row, behind the row's last committed token (the root, node -1).

    tokens: int64 [B, N]; parents: int64 [B, N], node numbers below the node's own, -1 for children of the
    root; a chain is the tree whose node i has parent i - 1. depths: int64 [B, N], 1 for children of the root.
    lengths: int64 [B], nodes of each row that count.
    log_q: float [B, N, V], the law each node was really drawn from, for rules that need it.
    is_chain: whether node i has parent i - 1 in every row.
    hidden: float [B, N + 1, D], where the drafter has already run the target's first `layers` layers on root
    and nodes (and written their cache), the states that left them: the verify call goes on from there.
    """

    tokens: Tensor
    parents: Tensor
    depths: Tensor
    lengths: Tensor
    log_q: Tensor | None = None
    is_chain: bool = False
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
    def chain(cls, tokens: Tensor, lengths: Tensor | None = None, log_q: Tensor | None = None) -> Proposal:
        """One drafted sequence per row. tokens: int64 [B, N]; lengths: int64 [B], all N where left out."""
        rows, nodes = tokens.shape
        parents = torch.arange(-1, nodes - 1, device=tokens.device).expand(rows, nodes)
        depths = torch.arange(1, nodes + 1, device=tokens.device).expand(rows, nodes)
        if lengths is None:
            lengths = torch.full((rows,), nodes, device=tokens.device)
        return cls(tokens, parents, depths, lengths, log_q, is_chain=True)

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
