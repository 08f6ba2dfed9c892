"""A batch's logits under the rules of its model (`TokenRules`): what may not be said gets -inf.

The same for autoregressive decoding and for every node of a draft, whatever the method; `TokenRules.banned` says it
one token at a time.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from spear_accel.model import TextToSemanticConfig

__all__ = ["RuleBook"]


class RuleBook:
    """Rules of one model on one device. Minimum lengths are the caller's: they differ from row to row."""

    def __init__(self, config: TextToSemanticConfig, device: torch.device) -> None:
        """config: of a model that has rules."""
        assert config.rules is not None
        self.rules, self.eos_ids = config.rules, config.eos_ids
        self._eos = torch.tensor(config.eos_ids, device=device)
        self._never = self._mask(config.vocab, self.rules.suppressed, device)
        self._words = [torch.tensor(word, device=device) for word in self.rules.bad_words if len(word) > 1]
        single = [word[0] for word in self.rules.bad_words if len(word) == 1]
        self._bad = self._mask(config.vocab, single, device)
        self._first = self._mask(config.vocab, self.rules.suppressed_first, device)

    @staticmethod
    def _mask(vocab: int, tokens: Sequence[int], device: torch.device) -> Tensor | None:
        if not tokens:
            return None
        mask = torch.zeros(vocab, dtype=torch.bool, device=device)
        mask[torch.tensor(tokens, device=device)] = True
        return mask

    @property
    def reach(self) -> int:
        """How many tokens back the rules look."""
        return self.rules.reach

    def obey(self, logits: Tensor, left: Sequence[Sequence[int]], places: Tensor, before: Tensor | None) -> Tensor:
        """Logits [B, n, V] with -inf at what may not stand there.

        Args:
            logits: [B, n, V]; not changed.
            left: Of each row, the least and the most tokens that its utterance may have.
            places: int64 [B, n], how many tokens of the utterance stand before each position.
            before: int64 [B, n, W], the last W = `reach` tokens before each position, -1 where there is none. None
                leaves out the sequences that may not occur, as drafts may.

        Returns:
            Float32 [B, n, V].
        """
        bounds = torch.tensor(left, device=logits.device)
        banned = self._banned(logits, places, bounds[:, :1], before)
        for token, where in self._forced(places, bounds[:, 1:]):
            only = torch.ones(logits.shape[-1], dtype=torch.bool, device=logits.device)
            only[token] = False
            banned = torch.where(where[..., None], only, banned)
        if self._never is not None:
            banned = banned | self._never
        if self._first is not None:
            banned = banned | (self._first & (places == int(self.rules.first is not None))[..., None])
        return logits.float().masked_fill(banned, -torch.inf)

    def _banned(self, logits: Tensor, places: Tensor, least: Tensor, before: Tensor | None) -> Tensor:
        """bool [B, n, V]: EOS that comes too early, and ends of bad words."""
        banned = torch.zeros(logits.shape, dtype=torch.bool, device=logits.device)
        banned[..., self._eos] = (places < least)[..., None]
        if self._bad is not None:
            banned |= self._bad
        for word in self._words if before is not None else ():
            assert before is not None
            # Where too few tokens stand before, -1 matches nothing.
            met = (before[..., before.shape[-1] - len(word) + 1 :] == word[:-1]).all(dim=-1)
            banned[..., word[-1]] |= met
        return banned

    def _forced(self, places: Tensor, most: Tensor) -> list[tuple[int, Tensor]]:
        """Tokens that are forced, and where, bool [B, n]; the last goes before the first."""
        forced = [(self.rules.first, places == 0), (self.rules.last, places == most - 1)]
        return [(token, where) for token, where in forced if token is not None]
