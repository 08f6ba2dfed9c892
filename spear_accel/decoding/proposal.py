"""What drafters hand to verifiers and verifiers to the engine: `Proposal` and `Verdict`. Plain tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

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

    @cached_property
    def drafted(self) -> list[list[int]]:
        """`tokens` on the host."""
        drafted: list[list[int]] = self.tokens.tolist()
        return drafted

    @cached_property
    def counts(self) -> list[int]:
        """`lengths` on the host."""
        counts: list[int] = self.lengths.tolist()
        return counts

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

    @classmethod
    def of(cls, paths: Sequence[Sequence[int]], finals: Sequence[int], device: torch.device) -> Verdict:
        """From the host: the accepted nodes of each row, and its last token."""
        depth = max(map(len, paths))
        padded = torch.tensor([[*path, *[-1] * (depth - len(path))] for path in paths], device=device)
        ends = torch.tensor([list(map(len, paths)), finals], device=device)
        verdict = cls(ends[0], padded.view(len(paths), depth).long(), ends[1])
        # What is known on the host need not be fetched from the device again.
        verdict.__dict__.update(paths=paths, finals=finals)
        return verdict

    @cached_property
    def paths(self) -> Sequence[Sequence[int]]:
        """The accepted nodes of each row, on the host."""
        return [path[:count] for path, count in zip(self.path.tolist(), self.accepted.tolist(), strict=True)]

    @cached_property
    def finals(self) -> Sequence[int]:
        """`final` on the host."""
        finals: list[int] = self.final.tolist()
        return finals

    def committed(self, proposal: Proposal) -> list[list[int]]:
        """The committed tokens of each row, on the host."""
        rows = zip(proposal.drafted, self.paths, self.finals, strict=True)
        return [[*(tokens[node] for node in path), final] for tokens, path, final in rows]
