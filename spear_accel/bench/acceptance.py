"""What acceptance and costs predict, to be set beside what was measured.

Leviathan et al. 2022, "Fast inference from transformers via speculative decoding": tokens per round
(1 - alpha^(gamma + 1)) / (1 - alpha), speed-up that over (gamma c + 1). In a batch a target call on gamma + 1 tokens
costs more than one on a single token; then S = tau / (gamma c + v). Both leave out sampling, verification and
book-keeping, so what lies between the second and the measured speed-up is the engine's own time.

Knows records, not how they came about.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spear_accel.bench.records import Record


@dataclass(frozen=True)
class Prediction:
    """Of one record."""

    alpha: float
    """Chance that a draft is accepted where all before it were."""
    block_efficiency: float
    """By Leviathan's formula, which takes alpha to be the same at every position."""
    speedup: float | None
    """By Leviathan's formula; None without a measured draft cost."""
    batch_speedup: float | None
    """tau / (gamma c + v) with the measured tau, c and v; None where one of them was not measured."""


def predict(record: Record) -> Prediction | None:
    """None where the record drafted nothing. gamma is the mean draft length, which need not be whole."""
    length = record.mean_draft_length
    if length is None or not record.acceptance_by_position:
        return None
    alpha = acceptance(record.acceptance_by_position)
    draft, verify = record.draft_cost, record.verify_cost
    return Prediction(
        alpha=alpha,
        block_efficiency=tokens_per_round(alpha, length),
        speedup=None if draft is None else leviathan_speedup(alpha, length, draft),
        batch_speedup=None if draft is None or verify is None else record.block_efficiency / (length * draft + verify),
    )


def acceptance(by_position: Sequence[float]) -> float:
    """alpha from P(first i drafts all accepted), i = 1, 2, ...

    Accepted drafts over drafts whose predecessors were all accepted: the maximum-likelihood estimate where every draft
    has the same length and acceptance does not depend on the position. Raises ValueError for no positions.
    """
    if not by_position:
        raise ValueError("no positions")
    return sum(by_position) / (1.0 + sum(by_position[:-1]))


def conditional(by_position: Sequence[float]) -> list[float]:
    """P(draft i accepted | those before it were), up to the first position that was never accepted."""
    before = [1.0, *by_position[:-1]]
    return [now / then for now, then in zip(by_position, before, strict=True) if then > 0.0]


def tokens_per_round(alpha: float, length: float) -> float:
    """Expected committed tokens of a round with `length` drafts, the recovered or bonus token included."""
    return length + 1.0 if alpha == 1.0 else (1.0 - alpha ** (length + 1.0)) / (1.0 - alpha)


def leviathan_speedup(alpha: float, length: float, draft_cost: float) -> float:
    """Expected speed-up where a target call costs the same for any number of tokens; above 1 for some length if and
    only if alpha > draft_cost."""
    return tokens_per_round(alpha, length) / (length * draft_cost + 1.0)
