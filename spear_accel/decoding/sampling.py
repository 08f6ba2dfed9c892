"""Logits -> probabilities, in the only place where that happens: target, drafts and reference all come here.

Knows nothing about rows' history beyond what is passed in, nor where randomness comes from.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from spear_accel.checks import number, settle, whole
from spear_accel.errors import UserError

__all__ = ["BatchSampling", "SamplingParams", "choose", "log_probabilities", "noisy_scores", "shaped_scores"]

LEAST_TEMPERATURE = 1e-3
"""Below, scores divided by it would leave the range of float32."""


@dataclass(frozen=True)
class SamplingParams:
    """How one request's tokens are drawn. `DecodeOptions` has the same fields for a whole call."""

    temperature: float = 0.7
    """0 takes the most likely token."""
    top_k: int = 0
    """Sample among the k most likely tokens; 0 keeps all."""
    top_p: float = 1.0
    """Sample among the smallest set of tokens that holds this probability; 1 keeps all."""
    repetition_penalty: float = 1.0
    """Above 1, tokens seen in the last `repetition_window` become less likely (Keskar et al. 2019)."""
    repetition_window: int = 10

    def __post_init__(self) -> None:
        settle(
            self,
            temperature=number("temperature", self.temperature, 0.0, math.inf),
            top_k=whole("top_k", self.top_k, 0),
            top_p=number("top_p", self.top_p, 0.0, 1.0),
            repetition_penalty=number("repetition_penalty", self.repetition_penalty, 0.0, math.inf),
            repetition_window=whole("repetition_window", self.repetition_window, 1),
        )
        if 0.0 < self.temperature < LEAST_TEMPERATURE:
            raise UserError(f"temperature must be 0 or at least {LEAST_TEMPERATURE:g}, got {self.temperature!r}")
        if self.top_p == 0.0 or self.repetition_penalty == 0.0:
            raise UserError("top_p and repetition_penalty must be above 0")

    @property
    def greedy(self) -> bool:
        """Whether every draw is the argmax."""
        return self.temperature == 0.0

    @property
    def uses_history(self) -> bool:
        """Whether tokens said before change the distribution."""
        return self.repetition_penalty != 1.0


class BatchSampling:
    """The sampling parameters of all rows of a batch, each row's its own.

    Every number of a row is computed as if the row were alone: parameters are tensors over rows, and a step that only
    some rows ask for leaves the others as they are, to the bit.
    """

    def __init__(self, rows: Sequence[SamplingParams], device: torch.device) -> None:
        """rows: B sampling parameters."""
        self.rows, self.device = tuple(rows), device
        self.greedy = all(row.greedy for row in rows)
        self.window = max((row.repetition_window for row in rows if row.uses_history), default=0)

    @property
    def uses_history(self) -> bool:
        """Whether any row's earlier tokens change its distribution."""
        return self.window > 0

    @property
    def filters(self) -> bool:
        """Whether any row samples from a part of the vocabulary."""
        return self.top_k is not None or self.top_p is not None

    @cached_property
    def greedy_rows(self) -> Tensor | None:
        """bool [B, 1, 1]; None where all rows or none are greedy."""
        greedy = [row.greedy for row in self.rows]
        return None if self.greedy or not any(greedy) else self._over_rows(greedy)

    @cached_property
    def temperature(self) -> float | Tensor:
        """Float32 [B, 1, 1], 1 for greedy rows; on a CPU the number itself if all rows agree."""
        return self._shared_or_over_rows([1.0 if row.greedy else row.temperature for row in self.rows])

    @cached_property
    def factors(self) -> Tensor:
        """Float32 [B], 1 / temperature, 1 for greedy rows."""
        return torch.tensor([1.0 if row.greedy else 1.0 / row.temperature for row in self.rows])

    @cached_property
    def repetition_penalty(self) -> float | Tensor:
        """As `temperature`; 1 changes nothing."""
        return self._shared_or_over_rows([row.repetition_penalty for row in self.rows])

    @cached_property
    def top_k(self) -> int | Tensor | None:
        """int64 [B, 1, 1], or the number if all rows agree; None if no row asks. V or more keeps all."""
        wanted = [0 if row.greedy else row.top_k for row in self.rows]
        if not any(wanted):
            return None
        return wanted[0] if len(set(wanted)) == 1 else self._over_rows([k or _ALL for k in wanted])

    @cached_property
    def top_p(self) -> float | Tensor | None:
        """Float32 [B, 1, 1], or the number if all rows agree; None if no row asks. Infinity keeps all."""
        wanted = [1.0 if row.greedy else row.top_p for row in self.rows]
        if min(wanted, default=1.0) == 1.0:
            return None
        return wanted[0] if len(set(wanted)) == 1 else self._over_rows([p if p < 1.0 else math.inf for p in wanted])

    @cached_property
    def too_old(self) -> Tensor | None:
        """bool [B, 1, W], true at tokens of the window that a row's own, shorter window does not reach."""
        own = [row.repetition_window if row.uses_history else self.window for row in self.rows]
        if min(own, default=self.window) == self.window:
            return None
        places = torch.arange(self.window, device=self.device)
        return places < self.window - self._over_rows(own)

    def _shared_or_over_rows(self, values: list[float]) -> float | Tensor:
        # CUDA divides by a number and by a tensor of it in two ways, so there it is always a tensor.
        return values[0] if len(set(values)) == 1 and self.device.type == "cpu" else self._over_rows(values)

    def _over_rows(self, values: Sequence[float]) -> Tensor:
        return torch.tensor(values, device=self.device)[:, None, None]


_ALL = 2**31 - 1


def log_probabilities(
    logits: Tensor,
    sampling: SamplingParams | BatchSampling,
    history: Tensor | None = None,
    forbidden: Tensor | None = None,
) -> Tensor:
    """Log-probabilities of the next token after penalty, temperature, top-k and top-p, in that order.

    Args:
        logits: [..., V]; [B, N, V] for the sampling of a batch.
        sampling: One row's or a batch's parameters.
        history: int64 [..., W], tokens that the penalty looks at, -1 where there is none.
        forbidden: bool, broadcastable to [..., V], tokens of probability 0.

    Returns:
        Float32 [..., V], -inf at probability 0. At temperature 0 all the probability is on the argmax.
    """
    scores = shaped_scores(logits, sampling, history, forbidden)
    if sampling.greedy:
        return _certain(scores)
    drawn = scores.log_softmax(-1)
    greedy = sampling.greedy_rows if isinstance(sampling, BatchSampling) else None
    return drawn if greedy is None else torch.where(greedy, _certain(scores), drawn)


def shaped_scores(
    logits: Tensor,
    sampling: SamplingParams | BatchSampling,
    history: Tensor | None = None,
    forbidden: Tensor | None = None,
) -> Tensor:
    """`log_probabilities` up to a constant per position; at temperature 0 the scores whose argmax is drawn.

    Enough to draw by noise.
    """
    scores = logits.float()
    if history is not None and sampling.uses_history:
        if isinstance(sampling, BatchSampling) and sampling.too_old is not None:
            history = history.masked_fill(sampling.too_old, -1)
        scores = penalise(scores, history, sampling.repetition_penalty)
    if forbidden is not None:
        scores = scores.masked_fill(forbidden, -torch.inf)
    if sampling.greedy:
        return scores
    scores = scores / sampling.temperature
    if sampling.top_k is not None:
        scores = keep_top_k(scores, sampling.top_k)
    if sampling.top_p is not None:
        scores = keep_top_p(scores, sampling.top_p)
    return scores


def noisy_scores(
    logits: Tensor,
    sampling: BatchSampling,
    gumbel: Tensor | None,
    history: Tensor | None = None,
    forbidden: Tensor | None = None,
) -> Tensor:
    """Scores whose highest is the draw by the noise `gumbel` [B, N, V] (None: the argmax). Float32 [B, N, V].

    Up to rounding this is the draw from `log_probabilities`.
    """
    if gumbel is None or sampling.filters or history is not None or forbidden is not None:
        scores = shaped_scores(logits, sampling, history, forbidden)
        return scores if gumbel is None else scores + gumbel
    if isinstance(sampling.temperature, float):
        return torch.add(gumbel, logits, alpha=1.0 / sampling.temperature)
    return torch.addcdiv(gumbel, logits.float(), sampling.temperature)


def penalise(scores: Tensor, history: Tensor, penalty: float | Tensor) -> Tensor:
    """Divide positive and multiply negative scores of tokens in `history` by `penalty` (Keskar et al. 2019)."""
    seen = torch.zeros(*scores.shape[:-1], scores.shape[-1] + 1, dtype=torch.bool, device=scores.device)
    # Absent history (-1) marks the one column too many.
    seen.scatter_(-1, history.where(history >= 0, scores.shape[-1]), True)
    penalised = torch.where(scores > 0, scores / penalty, scores * penalty)
    return torch.where(seen[..., :-1], penalised, scores)


def keep_top_k(scores: Tensor, k: int | Tensor) -> Tensor:
    """Scores below the k-th highest become -inf; ties with it stay. A k of 0, or of V or more, keeps all."""
    vocabulary = scores.shape[-1]
    if isinstance(k, int):
        if not 0 < k < vocabulary:
            return scores
        return scores.masked_fill(scores < scores.topk(k, dim=-1).values[..., -1:], -torch.inf)
    places = k.clamp_max(vocabulary).expand(*scores.shape[:-1], 1) - 1
    least = scores.topk(int(places.max()) + 1, dim=-1).values.gather(-1, places)
    return scores.masked_fill(scores < least, -torch.inf)


def keep_top_p(scores: Tensor, p: float | Tensor) -> Tensor:
    """Keep the smallest set of most likely tokens whose probability reaches p (Holtzman et al. 2020); 1 keeps all."""
    if not isinstance(p, Tensor) and p >= 1.0:
        return scores
    ranked, order = scores.sort(dim=-1, descending=True, stable=True)
    probabilities = ranked.softmax(-1)
    before = probabilities.cumsum(-1) - probabilities
    outside = (before >= p).scatter(-1, order, before >= p)
    # Rounding must never empty the set.
    outside.scatter_(-1, order[..., :1], False)
    return scores.masked_fill(outside, -torch.inf)


def choose(log_probs: Tensor, gumbel: Tensor | None) -> Tensor:
    """Draw one token per position by the Gumbel-max trick. [..., V] -> int64 [...]; no noise: the argmax."""
    return (log_probs if gumbel is None else log_probs + gumbel).argmax(-1)


def _certain(scores: Tensor) -> Tensor:
    """All the probability on the argmax."""
    return torch.full_like(scores, -torch.inf).scatter_(-1, scores.argmax(-1, keepdim=True), 0.0)
