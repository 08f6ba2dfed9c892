"""Drafting with the target's last outputs: its draws behind the last accepted position are the next draft.

Jacobi decoding (Santilli et al. 2023, arXiv 2305.10427; cf. lookahead decoding, Fu et al. 2024). With the coupled rule
the noise of a position is fixed, so sampling too is a fixed point that the rounds run into. Free and without training.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from spear_accel.decoding.context import DraftContext
from spear_accel.decoding.draft.base import Topology
from spear_accel.decoding.draft.spec import MethodSpec
from spear_accel.decoding.proposal import Proposal, Verdict
from spear_accel.decoding.sampling import choose
from spear_accel.model import DecoderState
from spear_accel.model.decoder import Decoder

__all__ = ["METHOD", "JacobiDrafter"]


class JacobiDrafter:
    """See `Drafter` for the methods. Chains only; it is certain of what it drafts."""

    topology: Topology = "chain"
    autoregressive = False

    def __init__(self, decoder: Decoder, longest: int) -> None:
        self.decoder, self.longest = decoder, longest
        self._guess: Tensor | None = None
        self._round: DraftContext | None = None
        self._proposal: Proposal | None = None

    def reset(self, rows: int, capacity: int, text_capacity: int) -> None:
        self._guess = None

    def add_rows(self, state: DecoderState, texts: Tensor) -> None:
        """New rows have no draws yet: -1 stands for their last token, whatever it will be."""
        fresh = texts.new_full((len(texts), self.longest), -1)
        self._guess = fresh if self._guess is None else torch.cat((self._guess, fresh))

    def propose(self, context: DraftContext) -> Proposal:
        assert self._guess is not None
        guess = self._guess[:, : context.draft_length]
        # The start id can be read but not drafted.
        last = context.last_token % len(context.noise.tokens)
        proposal = Proposal.chain(torch.where(guess < 0, last, guess))
        self._round, self._proposal = context, proposal
        return proposal

    def commit(self, verdict: Verdict, hidden: Tensor) -> None:
        """Draw at every position of the block again; those behind the committed ones are what comes next."""
        assert self._round is not None and self._proposal is not None and self._guess is not None
        count = hidden.shape[1]
        log_p = self._round.log_probs(self.decoder.logits(hidden), 0, self._proposal.tokens)
        draws = choose(log_p, self._round.noise.gumbel(0, count))
        # Behind the accepted path stands the final token, which is committed; the guess begins one further on.
        ahead = verdict.accepted[:, None] + 1 + torch.arange(self.longest, device=hidden.device)
        guess = draws.gather(1, ahead.clamp_max(count - 1))
        # Draws behind a made-up first draft are no guess.
        self._guess = torch.where(self._round.last_token < len(self._round.noise.tokens), guess, -1)

    def select(self, rows: Sequence[int]) -> None:
        assert self._guess is not None
        self._guess = self._guess[list(rows)]


METHOD = MethodSpec(
    "jacobi", "what the target drew behind the last accepted position",
    lambda inputs: JacobiDrafter(inputs.model.decoder, inputs.longest), preference=90,
)  # fmt: skip
