"""Drafting with a smaller text-to-semantic model of the same vocabulary (Leviathan et al. 2022, Chen et al. 2023).

It has its own encoder, caches and rollback. Committed tokens that its cache lacks (its last draft, or all that the
engine decoded without it) are read in one block at the start of the next draft.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from spear_accel.decoding.context import DraftContext
from spear_accel.decoding.draft.base import Topology
from spear_accel.decoding.draft.chain import draft_stepwise
from spear_accel.decoding.draft.spec import DrafterInputs, MethodSpec
from spear_accel.decoding.proposal import Proposal, Verdict
from spear_accel.errors import UserError
from spear_accel.model import DecoderState, TextToSemantic, TextToSemanticConfig

__all__ = ["METHOD", "DraftModelDrafter"]


class DraftModelDrafter:
    """See `Drafter` for the methods."""

    topology: Topology = "comb"
    autoregressive = True

    def __init__(self, model: TextToSemantic, target: TextToSemanticConfig, longest: int) -> None:
        """Raises UserError where the two models do not share their vocabularies."""
        for name in ("semantic_units", "text_vocab_size", "text_eos_id"):
            own, other = getattr(model.config, name), getattr(target, name)
            if own != other:
                raise UserError(f"the draft model has {name} {own}, the target {other}; they must have one vocabulary")
        self.model, self.longest = model.eval(), longest
        self._state: DecoderState
        self._room = 0
        self._spine: tuple[int, ...] = ()

    def reset(self, rows: int, capacity: int, text_capacity: int) -> None:
        positions = self.model.config.max_positions
        self._room = min(capacity + self.longest, positions)
        self._state = self.model.new_state(rows, self._room, min(text_capacity, positions))

    def add_rows(self, state: DecoderState, texts: Tensor) -> None:
        self.model.admit(self._state, texts)

    def propose(self, context: DraftContext) -> Proposal:
        self._spine = ()
        # A draft model with fewer positions than the target drafts no row beyond them.
        beyond = max(map(len, context.committed)) + context.draft_length >= self._room
        if context.draft_length == 0 or beyond:
            return Proposal.empty(context.state.rows, context.last_token.device)
        own, ones = self._state, [1] * self._state.rows
        # The last token is read (again, if this round drafts more than once): its logits come first.
        own.rewind([min(length, len(tokens)) for length, tokens in zip(own.lengths, context.committed, strict=True)])
        unread, counts = self._unread(context)
        lengths = [length + count for length, count in zip(own.lengths, counts, strict=True)]
        blocks = [unread]

        def step(token: Tensor) -> Tensor:
            block = blocks.pop() if blocks else token
            hidden = self.model.decoder.forward(block, own)
            own.keep(counts if block is unread else ones)
            return self.model.decoder.logits(_at_ends(hidden, counts) if block is unread else hidden)

        proposal = draft_stepwise(context, step)
        self._spine = proposal.shape.spine
        own.rewind(lengths)
        return proposal

    def commit(self, verdict: Verdict, hidden: Tensor) -> None:
        """The cache holds the spine without its last token, which was drawn and never read, and no other candidate."""
        held = max(0, len(self._spine) - 1)
        spine = torch.tensor(self._spine, device=verdict.path.device)[: verdict.path.shape[1]]
        read = (verdict.path[:, : len(spine)] == spine).long().cumprod(dim=1).sum(dim=1)
        self._state.keep([min(count, held) for count in read.tolist()])

    def select(self, rows: Sequence[int]) -> None:
        self._state.select(rows)

    def _unread(self, context: DraftContext) -> tuple[Tensor, list[int]]:
        """Inputs that the cache lacks, int64 [B, n] with rows filled up by anything, and how many there are."""
        start = self.model.config.start_id
        rows = [
            [start, *tokens][length:] if length == 0 else list(tokens[length - 1 :])
            for tokens, length in zip(context.committed, self._state.lengths, strict=True)
        ]
        counts = [len(row) for row in rows]
        width = max(counts)
        filled = [row + [0] * (width - len(row)) for row in rows]
        return torch.tensor(filled, device=context.last_token.device), counts


def _at_ends(hidden: Tensor, counts: Sequence[int]) -> Tensor:
    """hidden [B, n, D] -> [B, 1, D], row b's at counts[b] - 1."""
    if hidden.shape[1] == 1:
        return hidden
    ends = torch.tensor(counts, device=hidden.device)[:, None, None] - 1
    return hidden.gather(1, ends.expand(-1, -1, hidden.shape[-1]))


def _make(inputs: DrafterInputs) -> DraftModelDrafter:
    assert inputs.draft_model is not None
    return DraftModelDrafter(inputs.draft_model, inputs.model.config, inputs.longest)


METHOD = MethodSpec(
    "draft-model", "a smaller text-to-semantic model of the same vocabulary", _make, needs="draft model", preference=60
)
