"""Counter-based randomness: a pure function of (seed, utterance, position, token id).

The same number comes out on every device, in every batch, in every order and for every drafter, which is
what lets drafts and target share their noise. Knows nothing about probabilities or models.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor

_MASK32 = 0xFFFFFFFF
_MASK64 = 0xFFFFFFFFFFFFFFFF
_MOST_AHEAD, _BANKED = 64, 512
"""Positions of a row that a `NoiseBank` makes at once, and of all rows together."""
_RETRY_STEP = 0x9E3779B97F4A7C15


def utterance_key(text_ids: Sequence[int]) -> int:
    """64-bit name of an utterance: a hash of its text ids, so that batch mates and order cannot matter."""
    words = b"".join(int(token).to_bytes(8, "little", signed=True) for token in text_ids)
    return int.from_bytes(hashlib.blake2b(words, digest_size=8).digest(), "little")


def retry_seed(seed: int, attempt: int) -> int:
    """Seed of the attempt-th try (0 is the first and takes `seed` itself); below 2**31 for later tries."""
    return seed if attempt == 0 else _mix64((seed + attempt * _RETRY_STEP) & _MASK64) >> 33


def row_words(seed: int, key: int) -> tuple[int, int]:
    """Two 32-bit words that stand for (seed, utterance) in `uniforms`."""
    word = _mix64(_mix64(seed & _MASK64) ^ (key & _MASK64))
    return word & _MASK32, word >> 32


def uniforms(words: Tensor, positions: Tensor, tokens: Tensor) -> Tensor:
    """Uniform numbers in (0, 1), float32 [B, N, V], bit-identical on every device.

    words: int64 [B, 2] from `row_words`; positions: int64 [B, N]; tokens: int64 [V].
    """
    # Narrowing keeps the low 32 bits; sums and products then wrap modulo 2**32.
    words, positions, tokens = (part.to(torch.int32) for part in (words, positions, tokens))
    low = _mix32_(positions ^ words[:, :1])
    high = _mix32_(low + words[:, 1:])
    bits = _mix32_(_mix32_(tokens.clone()) ^ high[..., None])
    bits = _mix32_(bits.add_(low[..., None]))
    unsigned = bits.to(torch.int64).bitwise_and_(_MASK32).float()
    return unsigned.mul_(2.0**-32).add_(2.0**-33).clamp_max_(1.0 - 2.0**-24)


def gumbel_from(uniform: Tensor) -> Tensor:
    """Standard Gumbel noise; log1p keeps the upper tail, which decides draws, at full resolution."""
    return -torch.log(-torch.log1p(-uniform))


def silence(noise: Tensor, rows: Tensor | None) -> Tensor:
    """Noise [B, ...] with zeros in `rows`, in place."""
    return noise if rows is None else noise.index_fill_(0, rows, 0.0)


class RowNoise:
    """The noise of one round, which drafts and target share: it is made once, when it is first asked for."""

    def __init__(
        self,
        words: Tensor,
        positions: Tensor,
        tokens: Tensor,
        greedy: bool,
        gumbel: Tensor | None = None,
        greedy_rows: Tensor | None = None,
    ) -> None:
        """words: int64 [B, 2], the rows' own; positions: int64 [B], of each row's next token; tokens: int64 [V]
        (0 .. V - 1); greedy: all rows at temperature 0; gumbel: [B, N, V], noise that was made before; greedy_rows:
        int64 [n], rows at temperature 0, whose noise is zero."""
        self.words, self.positions, self.tokens, self.greedy = words, positions, tokens, greedy
        self._gumbel, self._greedy_rows = gumbel, greedy_rows

    def gumbel(self, depth: int, count: int) -> Tensor | None:
        """Noise [B, count, V] of the `count` positions from `depth` behind the next; None if all rows are at
        temperature 0."""
        if self.greedy:
            return None
        end = depth + count
        if self._gumbel is None or self._gumbel.shape[1] < end:
            self._gumbel = silence(gumbel_from(self._uniforms(0, end, self.tokens)), self._greedy_rows)
        return self._gumbel[:, depth:end]

    def stream(self, number: int) -> RowNoise:
        """Independent noise for the same positions; stream 0 is this one."""
        if number == 0:
            return self
        words = torch.tensor(row_words(number, 0), device=self.words.device)
        return RowNoise(self.words ^ words, self.positions, self.tokens, self.greedy, greedy_rows=self._greedy_rows)

    def acceptance_uniforms(self, count: int) -> Tensor:
        """Uniform numbers [B, count] that accept or reject the tokens of a chain, independent of all Gumbel noise."""
        return self._uniforms(0, count, self.tokens[-1:] + 1)[..., 0]

    def group_uniforms(self, count: int) -> Tensor:
        """Uniform numbers [B, count] that draw a group for each token of a chain, independent of all the rest."""
        return self._uniforms(0, count, self.tokens[-1:] + 2 * len(self.tokens) + 64)[..., 0]

    def candidate_uniforms(self, depth: int, count: int) -> Tensor:
        """Uniform numbers [B, count] that accept or reject the candidates at one depth; the first is the one that
        `acceptance_uniforms` gives for the depth."""
        vocabulary = len(self.tokens)
        candidates = torch.arange(1, count, device=self.tokens.device) + 2 * vocabulary
        return self._uniforms(depth, 1, torch.cat((self.tokens[-1:] + 1, candidates)))[:, 0]

    def residual_gumbel(self, depths: Tensor) -> Tensor | None:
        """Gumbel noise [B, V] that draws the token after a rejection at depths [B], independent of all the rest; None
        if all rows are at temperature 0."""
        if self.greedy:
            return None
        others = self.tokens + (len(self.tokens) + 1)
        noise = gumbel_from(uniforms(self.words, (self.positions + depths)[:, None], others))[:, 0]
        return silence(noise, self._greedy_rows)

    def _uniforms(self, depth: int, count: int, tokens: Tensor) -> Tensor:
        ahead = torch.arange(depth, depth + count, device=self.positions.device)
        return uniforms(self.words, self.positions[:, None] + ahead, tokens)


class NoiseBank:
    """The noise of a job's live rows, made for many positions at once: that of one round is too little work for its
    cost."""

    def __init__(self, tokens: Tensor) -> None:
        """tokens: int64 [V]."""
        self.tokens, self.greedy = tokens, True
        self._greedy_rows: Tensor | None = None
        self._words = tokens[:0].view(0, 2)
        self._firsts: list[int] = []
        self._block = torch.zeros(0, 0, len(tokens), device=tokens.device)

    def name(self, words: Sequence[tuple[int, int]], greedy: Sequence[bool]) -> None:
        """Take other rows: their `row_words`, and whether each is at temperature 0."""
        self.greedy = all(greedy)
        places = [row for row, zero in enumerate(greedy) if zero]
        self._greedy_rows = torch.tensor(places, device=self.tokens.device) if places else None
        self._words = torch.tensor(list(words), dtype=torch.int64, device=self.tokens.device).view(-1, 2)
        self._firsts = []

    def round(self, positions: Sequence[int], count: int) -> RowNoise:
        """Of the rows' next `count` positions."""
        places = torch.tensor(list(positions), device=self.tokens.device)
        if self.greedy:
            return RowNoise(self._words, places, self.tokens, True)
        if not self._covers(positions, count):
            self._make(positions, places, count)
        ahead = [position - first for position, first in zip(positions, self._firsts, strict=True)]
        if min(ahead) == max(ahead):
            gumbel = self._block[:, ahead[0] : ahead[0] + count]
        else:
            rows = torch.arange(len(ahead), device=self.tokens.device)[:, None]
            wanted = torch.tensor(ahead, device=self.tokens.device)[:, None]
            gumbel = self._block[rows, wanted + torch.arange(count, device=self.tokens.device)]
        return RowNoise(self._words, places, self.tokens, False, gumbel, self._greedy_rows)

    def _covers(self, positions: Sequence[int], count: int) -> bool:
        width = self._block.shape[1]
        return len(self._firsts) == len(positions) and all(
            first <= position and position + count <= first + width
            for first, position in zip(self._firsts, positions, strict=True)
        )

    def _make(self, positions: Sequence[int], places: Tensor, count: int) -> None:
        width = max(count, min(_MOST_AHEAD, _BANKED // len(positions)))
        ahead = torch.arange(width, device=self.tokens.device)
        self._block = silence(
            gumbel_from(uniforms(self._words, places[:, None] + ahead, self.tokens)), self._greedy_rows
        )
        self._firsts = list(positions)


def _mix32_(x: Tensor) -> Tensor:
    """A bijection of int32 words, in place, whose every output bit depends on every input bit. Shifts are unsigned."""
    x ^= (x >> 16).bitwise_and_(0xFFFF)
    x *= 0x21F0AAAD
    x ^= (x >> 15).bitwise_and_(0x1FFFF)
    x *= 0x735A2D97
    x ^= (x >> 15).bitwise_and_(0x1FFFF)
    return x


def _mix64(x: int) -> int:
    """SplitMix64's finaliser (Steele et al. 2014)."""
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK64
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK64
    return x ^ (x >> 31)
