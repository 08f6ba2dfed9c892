"""Drafting from the target's last hidden states, without a layer of the target.

Each row's start follows its last *committed* position. Two drafters: the prophet, a transformer that reads its own
drafts, and the heads that say all at once (linear prophet, Medusa).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from spear_accel.decoding.draft.base import Branches, Round
from spear_accel.decoding.draft.chain import draw_all, draw_one_by_one
from spear_accel.decoding.proposal import Proposal, Verdict
from spear_accel.heads import ParallelHead, Prophet
from spear_accel.model import DecoderState, KeyValueCache

__all__ = ["ParallelDrafter", "ProphetDrafter"]


class _LastStates:
    """The target's last K hidden states of each row, [B, K, D], in step with the engine's rows."""

    def __init__(self, first: Tensor, count: int) -> None:
        """first: [D], what stands for states before the beginning."""
        self.beginning = first.detach().expand(1, count, -1)
        self.values = self.beginning[:0]

    def reset(self) -> None:
        self.values = self.beginning[:0]

    def admit(self, count: int) -> None:
        self.values = torch.cat((self.values, self.beginning.expand(count, -1, -1)))

    def keep(self, verdict: Verdict, hidden: Tensor) -> None:
        """Move on by the root and the accepted path. hidden: [B, N + 1, D]."""
        rows = torch.arange(len(hidden), device=hidden.device)
        ends = verdict.accepted
        if self.values.shape[1] == 1:
            last = verdict.path.gather(1, (ends - 1).clamp_min(0)[:, None])[:, 0] if verdict.path.shape[1] else ends
            self.values = hidden[rows, torch.where(ends > 0, last + 1, 0)][:, None]
            return
        read = torch.cat((hidden[:, :1], hidden[rows[:, None], verdict.path.clamp_min(0) + 1]), dim=1)
        known = torch.cat((self.values, read), dim=1)
        window = ends[:, None] + 1 + torch.arange(self.values.shape[1], device=hidden.device)
        self.values = known[rows[:, None], window]

    def select(self, rows: Sequence[int]) -> None:
        self.values = self.values[list(rows)]


class ProphetDrafter:
    """See `Drafter` for the methods."""

    branches: Branches = "beside"

    def __init__(self, head: Prophet, longest: int) -> None:
        self.head, self.longest = head, longest
        self._states = _LastStates(head.first, head.config.starts)
        self._cache: KeyValueCache

    def reset(self, rows: int, capacity: int, text_capacity: int) -> None:
        """The cache holds one round only."""
        self._cache = self.head.new_cache(rows, self.longest)
        self._states.reset()

    def admit(self, state: DecoderState, texts: Tensor) -> None:
        self._states.admit(len(texts))
        self._cache.admit(len(texts))

    def propose(self, current: Round) -> Proposal:
        if current.draft_length == 0:
            return Proposal.empty(current.state.rows, current.pending.device)
        starts, carried = self.head.start(self._states.values)
        rows = current.state.rows
        self._cache.rewind([0] * rows)

        def step(token: Tensor) -> Tensor:
            x = self.head.read(token, carried)
            if self._cache.lengths[0] == 0:
                x = torch.cat((starts, x), dim=1)
            hidden = self.head.step(x, self._cache, current.state.cross)
            self._cache.keep([x.shape[1]] * rows)
            return self.head.logits(hidden[:, -1:])

        return draw_one_by_one(current, step)

    def keep(self, verdict: Verdict, hidden: Tensor) -> None:
        self._states.keep(verdict, hidden)

    def select(self, rows: Sequence[int]) -> None:
        self._states.select(rows)
        self._cache.rewind([0] * self._cache.rows)
        self._cache.select(rows)


class ParallelDrafter:
    """Of heads that say all tokens of a draft at once. See `Drafter` for the methods."""

    branches: Branches = "anywhere"

    def __init__(self, head: ParallelHead, longest: int) -> None:
        """Never drafts more than the head has streams."""
        self.head, self.longest = head, min(longest, head.horizon)
        self._states = _LastStates(head.first, 1)

    def reset(self, rows: int, capacity: int, text_capacity: int) -> None:
        """Nothing to size."""
        self._states.reset()

    def admit(self, state: DecoderState, texts: Tensor) -> None:
        self._states.admit(len(texts))

    def propose(self, current: Round) -> Proposal:
        if current.draft_length == 0:
            return Proposal.empty(current.state.rows, current.pending.device)
        logits = self.head(self._states.values[:, 0], current.pending[:, 0])
        return draw_all(current, logits)

    def keep(self, verdict: Verdict, hidden: Tensor) -> None:
        self._states.keep(verdict, hidden)

    def select(self, rows: Sequence[int]) -> None:
        self._states.select(rows)
