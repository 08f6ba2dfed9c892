"""The drafting contract. A drafter sees the decoder state of all live rows and proposes how each goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol

import torch
from torch import Tensor

from spear_accel.decoding.noise import RowNoise
from spear_accel.decoding.proposal import Proposal, Verdict
from spear_accel.decoding.sampling import BatchSampling, log_probabilities, noisy_scores
from spear_accel.decoding.tree import TreeShape
from spear_accel.model import DecoderState

Branches = Literal["nowhere", "beside", "anywhere"]
"""Candidates of a draft: one at each depth, several beside the chain (a comb), or behind any node."""
Grows = Literal["whole", "chain", "comb", "tree"]
"""What a draft can be that is shaped while it is drawn; "whole" where all its tokens are drawn at once."""


class Appraisal(Protocol):
    """Asked depth by depth while a draft is made, what it is worth to go on."""

    goes_on: bool
    """Whether another depth is worth its time, after the last was drawn."""

    def judge(self, nodes: list[int], gaps: list[list[float]]) -> list[tuple[int, int]]:
        """About what may follow each of the `nodes` of one depth (-1: the root): how many candidates to offer, 1 or 2,
        and how many of them the draft goes on behind. gaps: of each node, for every row, by how much the best noisy
        score is above the second."""


@dataclass(frozen=True)
class Round:
    """All that a round starts from; drafts and target turn logits into probabilities through it alike.

    state: caches of the live rows, whose lengths equal the number of committed tokens;
    pending: int64 [B, 1], each row's last committed token (the start id at first), not yet in the cache;
    committed: all of each row's tokens so far, on the host, not to be changed;
    noise: the rows' randomness; history: int64 [B, W], the last W committed tokens, -1 where there are none,
    None where no penalty looks at them; minimum: [B] tokens before which EOS is forbidden, per row;
    wanted: the shape of the draft, at most as deep as the drafter's `longest` and of a kind that it can make; without
    nodes it asks for an empty proposal; stop: asked with the law [B, 1, V] and the token [B, 1] of each depth of a
    chain, whether [B, 1] nothing is to be drafted behind it; appraisal: decides how much of the shape is drafted, and
    where a second candidate is offered, by drafters that draw one token after another.
    """

    state: DecoderState
    pending: Tensor
    committed: Sequence[Sequence[int]]
    noise: RowNoise
    sampling: BatchSampling
    history: Tensor | None
    minimum: Sequence[int]
    eos_id: int
    wanted: TreeShape
    stop: Callable[[Tensor, Tensor], Tensor] | None = None
    appraisal: Appraisal | None = None

    @property
    def draft_length(self) -> int:
        """Depth of the draft that is wanted."""
        return self.wanted.depth

    def law(self, logits: Tensor, proposal: Proposal) -> Tensor:
        """The target's law after the root and each node: logits [B, N + 1, V] -> [B, N + 1, V]."""
        if proposal.shape.is_chain:
            return self.log_probabilities(logits, 0, proposal.tokens)
        windows = None
        if self.history is not None:
            told = torch.cat((self.history, proposal.tokens), dim=1)
            windows = told[:, proposal.shape.windows(self.history.shape[1], told.device)]
        depths = torch.nn.functional.pad(proposal.shape.on(logits.device).depths, (1, 0))
        return log_probabilities(logits, self.sampling, windows, self._forbidden(logits, depths))

    def log_probabilities(self, logits: Tensor, depth: int, drafted: Tensor) -> Tensor:
        """The law of chain positions depth .. depth + M - 1 behind the committed tokens.

        logits: [B, M, V]; drafted: int64 [B, at least depth + M - 1], the hypothetical prefix. Returns [B, M, V].
        """
        count = logits.shape[1]
        windows = None
        if self.history is not None:
            width = self.history.shape[1]
            seen = torch.cat((self.history, drafted[:, : depth + count - 1]), dim=1)
            windows = seen.unfold(1, width, 1)[:, depth : depth + count]
        return log_probabilities(logits, self.sampling, windows, self._forbidden(logits, depth))

    def noisy_scores(self, logits: Tensor, depth: int, drafted: Tensor) -> Tensor:
        """Scores [B, n, V] of what follows n nodes of one depth, whose highest the target would draw from the same law.

        logits: [B, n, V]; drafted: int64 [B, depth], the hypothetical prefix that a penalty looks at; n is 1 then.
        """
        windows, forbidden = None, None
        if self.history is not None:
            windows = torch.cat((self.history, drafted), dim=1)[:, None, -self.history.shape[1] :]
        if self._short > depth:
            forbidden = self._forbidden(logits, torch.full((logits.shape[1],), depth, device=logits.device))
        return noisy_scores(logits, self.sampling, self.noise.gumbel(depth, 1), windows, forbidden)

    @cached_property
    def _short(self) -> int:
        """Tokens until every row may end."""
        return max(least - len(tokens) for least, tokens in zip(self.minimum, self.committed, strict=True))

    def _forbidden(self, logits: Tensor, depths: Tensor | int) -> Tensor | None:
        """bool [B, M, V], true at EOS where the utterance is too short to end, `depths` [M] tokens from now (a number:
        from there on); None where none is."""
        if self._short <= 0:
            return None
        short = [least - len(tokens) for least, tokens in zip(self.minimum, self.committed, strict=True)]
        if isinstance(depths, int):
            depths = torch.arange(depths, depths + logits.shape[1], device=logits.device)
        forbidden = torch.zeros_like(logits, dtype=torch.bool)
        forbidden[..., self.eos_id] = depths < torch.tensor(short, device=logits.device)[:, None]
        return forbidden


class Drafter(Protocol):
    """Proposes tokens; keeps whatever state of its own in step with the engine's rows."""

    longest: int
    """Deepest draft that it ever proposes; the engine sizes the cache by it."""
    branches: Branches
    """Where it can offer several candidates."""
    grows: Grows
    """What it can draw for an `Appraisal`."""

    def reset(self, rows: int, capacity: int, text_capacity: int) -> None:
        """A new job begins: at most `rows` live rows of `capacity` slots."""

    def admit(self, state: DecoderState, texts: Tensor) -> None:
        """The last n rows of `state` are new, at position 0. texts: their ids [n, X] as the encoder reads them."""

    def propose(self, current: Round) -> Proposal:
        """Draft for every live row. May write the cache behind the rows' lengths; must leave the lengths as found."""

    def keep(self, verdict: Verdict, hidden: Tensor) -> None:
        """The round's outcome. hidden: [B, N + 1, D], the target's last states at root and nodes, before its
        final norm; row b's state at its last committed input is hidden[b, path[b][-1] + 1] (0 without a path)."""

    def select(self, rows: Sequence[int]) -> None:
        """Live row rows[i] becomes row i; all others leave."""
