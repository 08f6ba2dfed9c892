"""What drafters start from that run no layer of the target: its last hidden states."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from spear_accel.decoding.proposal import Verdict

__all__ = ["LastStates"]


class LastStates:
    """The target's last K hidden states of each row, [B, K, D], in step with the engine's rows."""

    def __init__(self, first: Tensor, count: int) -> None:
        """first: [D], what stands for states before the beginning."""
        self.beginning = first.detach().expand(1, count, -1)
        self.values = self.beginning[:0]

    def reset(self) -> None:
        self.values = self.beginning[:0]

    def add_rows(self, count: int) -> None:
        self.values = torch.cat((self.values, self.beginning.expand(count, -1, -1)))

    def commit(self, verdict: Verdict, hidden: Tensor) -> None:
        """Move on by the root and the accepted path. hidden: [B, N + 1, D]."""
        rows = torch.arange(len(hidden), device=hidden.device)
        ends = verdict.accepted
        if self.values.shape[1] == 1:
            last = verdict.path.gather(1, (ends - 1).clamp_min(0)[:, None])[:, 0] if verdict.path.shape[1] else ends
            self.values = hidden[rows, torch.where(ends > 0, last + 1, 0)][:, None].to(self.beginning.dtype)
            return
        hidden = hidden.to(self.beginning.dtype)
        read = torch.cat((hidden[:, :1], hidden[rows[:, None], verdict.path.clamp_min(0) + 1]), dim=1)
        known = torch.cat((self.values, read), dim=1)
        window = ends[:, None] + 1 + torch.arange(self.values.shape[1], device=hidden.device)
        self.values = known[rows[:, None], window]

    def select(self, rows: Sequence[int]) -> None:
        self.values = self.values[list(rows)]
