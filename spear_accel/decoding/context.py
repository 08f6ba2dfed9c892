"""The context of one round: what drafts start from, and how draft and target alike turn logits into probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from spear_accel.decoding.control.base import DraftGate, DraftPlan
from spear_accel.decoding.draws import Ban, draw
from spear_accel.decoding.noise import RowNoise
from spear_accel.decoding.obedience import RuleBook
from spear_accel.decoding.proposal import Proposal
from spear_accel.decoding.sampling import BatchSampling, log_probabilities
from spear_accel.decoding.tree import TreeShape
from spear_accel.model import DecoderState

__all__ = ["DraftContext", "last_tokens"]


def last_tokens(rows: Sequence[Sequence[int]], width: int, device: torch.device) -> Tensor:
    """The last tokens of each row, int64 [B, width], -1 in front of the first."""
    recent = [list(tokens[-width:]) for tokens in rows]
    return torch.tensor([[-1] * (width - len(tokens)) + tokens for tokens in recent], device=device)


@dataclass(frozen=True)
class DraftContext:
    """Everything that a round starts from."""

    state: DecoderState
    """Caches of the live rows; their lengths equal the numbers of committed tokens."""
    last_token: Tensor
    """int64 [B, 1], each row's last committed token (the start id at first), which is not in the cache yet."""
    committed: Sequence[Sequence[int]]
    """All tokens of each row so far, on the host; not to be changed."""
    noise: RowNoise
    """Randomness of the rows."""
    sampling: BatchSampling
    history: Tensor | None
    """int64 [B, W], the last W committed tokens, -1 in front of the first; None where no row has a penalty."""
    minimum: Sequence[int]
    """Of each row, the number of tokens before which EOS is forbidden."""
    eos_id: int
    laws: bool
    """Whether the rule reads the distributions that drafts were drawn from (`Proposal.log_q`)."""
    plan: DraftPlan
    """The wanted draft: at most as deep as the drafter's `longest`, and of its topology."""
    rules: RuleBook | None = None
    """Which tokens may follow which, EOS included; None where the model has no such rules."""
    maximum: Sequence[int] = ()
    """Of each row, the most tokens that it may have; only rules ask."""

    @property
    def looks_back(self) -> bool:
        """Whether a position's distribution depends on the tokens before it, beside what the model makes of them."""
        return self.history is not None or (self.rules is not None and self.rules.reach > 0)

    @property
    def shape(self) -> TreeShape:
        """The wanted draft, or the deepest that the gate may allow."""
        return self.plan.shape

    @property
    def gate(self) -> DraftGate | None:
        """Decides how much of the shape is drafted, by drafters that draw one token after another."""
        return self.plan.gate

    @property
    def draft_length(self) -> int:
        """Depth of the wanted draft; 0 asks for an empty proposal."""
        return self.plan.shape.depth

    def target_log_probs(self, logits: Tensor, proposal: Proposal) -> Tensor:
        """Log-probabilities of the target after the root and each node: logits [B, N + 1, V] -> [B, N + 1, V]."""
        if proposal.shape.is_chain:
            return self.log_probs(logits, 0, proposal.tokens)
        windows = None if self.history is None else self._windows(proposal, self.history)
        logits = self._obeyed(logits, (0, *proposal.shape.depths), self._before(proposal))
        depths = torch.nn.functional.pad(proposal.shape.on(logits.device).depths, (1, 0))
        return log_probabilities(logits, self.sampling, windows, self._forbidden(logits, depths))

    def log_probs(self, logits: Tensor, depth: int, drafted: Tensor) -> Tensor:
        """Log-probabilities at the chain positions depth .. depth + M - 1 behind the committed tokens.

        Args:
            logits: [B, M, V].
            depth: Tokens between the last committed one and the first position.
            drafted: int64 [B, at least depth + M - 1], the hypothetical prefix, which penalties look at.

        Returns:
            float32 [B, M, V].
        """
        count = logits.shape[1]
        windows = None
        if self.history is not None:
            width = self.history.shape[1]
            seen = torch.cat((self.history, drafted[:, : depth + count - 1]), dim=1)
            windows = seen.unfold(1, width, 1)[:, depth : depth + count]
        if self.rules is not None:
            before = None
            if width := self.rules.reach:
                seen = torch.cat((self._last(width), drafted[:, : depth + count - 1]), dim=1)
                before = seen.unfold(1, width, 1)[:, depth : depth + count]
            logits = self._obeyed(logits, range(depth, depth + count), before)
        return log_probabilities(logits, self.sampling, windows, self._forbidden(logits, depth))

    def best(
        self, logits: Tensor, depths: Sequence[int], count: int, windows: Tensor | None = None
    ) -> tuple[list[list[int]], list[list[float]]]:
        """The tokens of the highest noisy scores at n positions: first of all what the target would draw.

        Args:
            logits: [B, n, V].
            depths: Of each position, how many tokens stand between it and the last committed one.
            count: How many tokens a position.
            windows: int64 [B, n, W], what penalties look at; needed where `history` is.

        Returns:
            For each row, `count` tokens and their scores position by position. A draft may be wrong: where a logit is
            NaN stands token 0, and of the model's rules those about sequences are left out.
        """
        logits = self._obeyed(logits, depths, None)
        tokens, scores = self._draw(logits, depths, windows, count)
        return [[max(0, token) for token in row] for row in tokens], scores

    def best_after(
        self, logits: Tensor, depth: int, drafted: Tensor, count: int
    ) -> tuple[list[list[int]], list[list[float]]]:
        """`best` behind n nodes of one depth; n is 1 where penalties apply, which look at drafted, int64 [B, depth]."""
        windows = None
        if self.history is not None:
            windows = torch.cat((self.history, drafted), dim=1)[:, None, -self.history.shape[1] :]
        return self.best(logits, [depth] * logits.shape[1], count, windows)

    def target_draws(self, logits: Tensor, proposal: Proposal) -> list[list[int]]:
        """What the target draws behind the root and each node, for each row; `draws.BROKEN` where it returned NaN.

        logits: [B, N + 1, V].
        """
        windows = None if self.history is None else self._windows(proposal, self.history)
        depths = (0, *proposal.shape.depths)
        return self._draw(self._obeyed(logits, depths, self._before(proposal)), depths, windows, 1)[0]

    def _draw(
        self, logits: Tensor, depths: Sequence[int], windows: Tensor | None, count: int
    ) -> tuple[list[list[int]], list[list[float]]]:
        first, last = min(depths), max(depths)
        gumbel = self.noise.gumbel(first, last + 1 - first)
        places = [depth - first for depth in depths]
        return draw(logits, self.sampling, gumbel, places, self._ban(depths), windows, count)

    @staticmethod
    def _windows(proposal: Proposal, last: Tensor) -> Tensor:
        """int64 [B, N + 1, W]: the last W tokens before what follows the root and each node, of `last` [B, W] and the
        node's path."""
        known = torch.cat((last, proposal.tokens), dim=1)
        return known[:, proposal.shape.windows(last.shape[1], known.device)]

    def _before(self, proposal: Proposal) -> Tensor | None:
        """`_windows` of what the model's rules look at."""
        if self.rules is None or not self.rules.reach:
            return None
        return self._windows(proposal, self._last(self.rules.reach))

    def _last(self, width: int) -> Tensor:
        """The last tokens of each row, int64 [B, width], -1 in front of the first."""
        return last_tokens(self.committed, width, self.last_token.device)

    def _obeyed(self, logits: Tensor, depths: Sequence[int], before: Tensor | None) -> Tensor:
        """Logits [B, n, V] under the model's rules. depths: [n], how far each position is behind the next; before: what
        stands before each, int64 [B, n, W], None where that is left out."""
        if self.rules is None:
            return logits
        said = torch.tensor([len(tokens) for tokens in self.committed], device=logits.device)
        places = said[:, None] + torch.tensor(list(depths), device=logits.device)
        return self.rules.obey(logits, list(zip(self.minimum, self.maximum, strict=True)), places, before)

    def _ban(self, depths: Sequence[int]) -> Ban | None:
        """Where EOS would end an utterance too early: at positions `depths` behind the next; None if nowhere, or where
        the model's rules see to it."""
        if self.rules is not None or self._until_all_may_end <= min(depths):
            return None
        missing = [least - len(tokens) for least, tokens in zip(self.minimum, self.committed, strict=True)]
        return Ban(self.eos_id, [[depth < own for depth in depths] for own in missing])

    @cached_property
    def _until_all_may_end(self) -> int:
        """Tokens until EOS is forbidden in no row."""
        return max(least - len(tokens) for least, tokens in zip(self.minimum, self.committed, strict=True))

    def _forbidden(self, logits: Tensor, depths: Tensor | int) -> Tensor | None:
        """Mask EOS where an utterance is too short to end.

        Args:
            logits: [B, M, V].
            depths: [M], how many tokens from now each position is; a number: of the first position, the others follow.

        Returns:
            bool [B, M, V], true where a token is forbidden; None where none is, or where the model's rules see to it.
        """
        if self.rules is not None or self._until_all_may_end <= 0:
            return None
        missing = [least - len(tokens) for least, tokens in zip(self.minimum, self.committed, strict=True)]
        if isinstance(depths, int):
            depths = torch.arange(depths, depths + logits.shape[1], device=logits.device)
        forbidden = torch.zeros_like(logits, dtype=torch.bool)
        forbidden[..., self.eos_id] = depths < torch.tensor(missing, device=logits.device)[:, None]
        return forbidden
