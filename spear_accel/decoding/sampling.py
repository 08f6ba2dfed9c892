"""Logits -> probabilities, in the only place where that happens: target, drafts and reference all come here.

Knows nothing about rows' history beyond what is passed in, nor where randomness comes from.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Sampling:
    """The law tokens are drawn from. See `DecodeOptions` for the fields."""

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    repetition_window: int = 10

    @property
    def greedy(self) -> bool:
        """Whether every draw is the argmax."""
        return self.temperature == 0.0

    @property
    def uses_history(self) -> bool:
        return self.repetition_penalty != 1.0


def log_probabilities(
    logits: Tensor, sampling: Sampling, history: Tensor | None = None, forbidden: Tensor | None = None
) -> Tensor:
    """Log-probabilities of the next token after penalty, temperature, top-k and top-p, in that order.

    logits: [..., V]; history: int64 [..., W], tokens that the penalty looks at, -1 where there is none;
    forbidden: bool, broadcastable to [..., V], tokens of probability 0. Returns float32 [..., V], -inf at
    probability 0. At temperature 0 all the probability is on the argmax: nothing is divided.
    """
    scores = shaped_scores(logits, sampling, history, forbidden)
    if sampling.greedy:
        certain = torch.full_like(scores, -torch.inf)
        return certain.scatter_(-1, scores.argmax(-1, keepdim=True), 0.0)
    return scores.log_softmax(-1)


def shaped_scores(
    logits: Tensor, sampling: Sampling, history: Tensor | None = None, forbidden: Tensor | None = None
) -> Tensor:
    """`log_probabilities` but for a number that is the same for all tokens of a position; at temperature 0 what the
    argmax is taken of. Enough to draw by noise."""
    scores = logits.float()
    if history is not None and sampling.uses_history:
        scores = penalise(scores, history, sampling.repetition_penalty)
    if forbidden is not None:
        scores = scores.masked_fill(forbidden, -torch.inf)
    if sampling.greedy:
        return scores
    scores = scores / sampling.temperature
    if 0 < sampling.top_k < scores.shape[-1]:
        scores = keep_top_k(scores, sampling.top_k)
    if sampling.top_p < 1.0:
        scores = keep_top_p(scores, sampling.top_p)
    return scores


def noisy_scores(
    logits: Tensor, sampling: Sampling, gumbel: Tensor | None, history: Tensor | None, forbidden: Tensor | None
) -> Tensor:
    """Float32 [..., V], whose highest is the draw by noise `gumbel`, [..., V] or None; but for rounding the draw from
    `log_probabilities`, so for drafts, which may be wrong."""
    cut = sampling.top_k > 0 or sampling.top_p < 1.0
    if gumbel is None or cut or history is not None or forbidden is not None:
        scores = shaped_scores(logits, sampling, history, forbidden)
        return scores if gumbel is None else scores + gumbel
    return torch.add(gumbel, logits, alpha=1.0 / sampling.temperature)


def penalise(scores: Tensor, history: Tensor, penalty: float) -> Tensor:
    """Divide positive and multiply negative scores of tokens in `history` by `penalty` (Keskar et al. 2019)."""
    seen = torch.zeros(*scores.shape[:-1], scores.shape[-1] + 1, dtype=torch.bool, device=scores.device)
    # Absent history (-1) marks the one column too many.
    seen.scatter_(-1, history.where(history >= 0, scores.shape[-1]), True)
    penalised = torch.where(scores > 0, scores / penalty, scores * penalty)
    return torch.where(seen[..., :-1], penalised, scores)


def keep_top_k(scores: Tensor, k: int) -> Tensor:
    """Scores below the k-th highest become -inf; ties with it stay."""
    least = scores.topk(k, dim=-1).values[..., -1:]
    return scores.masked_fill(scores < least, -torch.inf)


def keep_top_p(scores: Tensor, p: float) -> Tensor:
    """Keep the smallest set of most likely tokens whose probability reaches p (Holtzman et al. 2020)."""
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
