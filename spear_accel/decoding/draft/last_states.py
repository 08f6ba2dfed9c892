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
        if self.values.shape[1] == 1:
            width = hidden.shape[1]
            last = [width * row + (path[-1] + 1 if path else 0) for row, path in enumerate(verdict.paths)]
            chosen = hidden.flatten(0, 1).index_select(0, torch.tensor(last, device=hidden.device))
            self.values = chosen[:, None].to(self.beginning.dtype)
            return
        rows = torch.arange(len(hidden), device=hidden.device)
        ends = verdict.accepted
        hidden = hidden.to(self.beginning.dtype)
        read = torch.cat((hidden[:, :1], hidden[rows[:, None], verdict.path.clamp_min(0) + 1]), dim=1)
        known = torch.cat((self.values, read), dim=1)
        window = ends[:, None] + 1 + torch.arange(self.values.shape[1], device=hidden.device)
        self.values = known[rows[:, None], window]

    def select(self, rows: Sequence[int]) -> None:
        self.values = self.values[list(rows)]
