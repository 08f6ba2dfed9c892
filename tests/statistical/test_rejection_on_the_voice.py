"""Draws of a short text from the shipped voice: speculative sampling against autoregressive sampling.

Two samples of 2,000 draws with different seeds. Tokens at each of the first positions and the lengths are compared by
chi-square tests of homogeneity, rare values joined to classes. If both samples follow one law, the chance that any of
the tests raises a false alarm is at most `FALSE_ALARM` (Bonferroni).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from spear_accel import DecodeOptions, Voice
from spear_accel.decoding import Engine

DRAWS = 2000
POSITIONS = 24
FALSE_ALARM = 1e-4
RARE = 20
TEXT = "Yes."


@pytest.fixture(scope="module")
def voice() -> Voice:
    return Voice.load("kathleen")


def draws(voice: Voice, method: str, verify: str, first_seed: int) -> list[Tensor]:
    options = DecodeOptions(method=method, verify=verify, draft_length=3, batch_size=64, max_tokens=60, loop_retries=0)
    drafter, controller = voice.drafting.prepare(voice.model, method, options)
    ids = voice.tokenizer.encode(TEXT.lower())
    engine = Engine(voice.model, options, drafter=drafter, controller=controller)
    return engine.decode([ids] * DRAWS, seeds=range(first_seed, first_seed + DRAWS)).tokens


def p_value(one: Sequence[int], other: Sequence[int]) -> float:
    """Chi-square test of homogeneity; values seen fewer than `RARE` times in both samples together are one class."""
    stats = pytest.importorskip("scipy.stats", reason="the test statistic needs scipy (extra train)")
    both = Counter(one) + Counter(other)
    classes = sorted(value for value, count in both.items() if count >= RARE)
    tables = [[counts[value] for value in classes] for counts in (Counter(one), Counter(other))]
    rest = [len(sample) - sum(row) for sample, row in zip((one, other), tables, strict=True)]
    if sum(rest) >= RARE:
        tables = [[*row, left] for row, left in zip(tables, rest, strict=True)]
    return 1.0 if len(tables[0]) < 2 else float(stats.chi2_contingency(tables).pvalue)


def smallest_p_value(one: Sequence[Tensor], other: Sequence[Tensor]) -> float:
    """Over all tests, times their number."""
    samples = [
        [[int(row[t]) if len(row) > t else -1 for row in rows] for rows in (one, other)] for t in range(POSITIONS)
    ]
    samples.append([[len(row) for row in rows] for rows in (one, other)])
    return min(p_value(*pair) for pair in samples) * len(samples)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["prophet", "early-exit", "prophet-linear"])
def test_rejection_keeps_the_law(voice: Voice, method: str) -> None:
    if method not in voice.methods:
        pytest.skip(f"the shipped voice has no head for {method}")
    plain = draws(voice, "autoregressive", "coupled", 0)
    assert smallest_p_value(plain, draws(voice, method, "rejection", 1_000_000)) > FALSE_ALARM


@pytest.mark.slow
def test_the_test_can_tell_laws_apart(voice: Voice) -> None:
    """A lossy rule is found out with the same number of draws."""
    if "prophet" not in voice.methods:
        pytest.skip("the shipped voice has no prophet head")
    plain = draws(voice, "autoregressive", "coupled", 0)
    assert smallest_p_value(plain, draws(voice, "prophet", "lenient", 1_000_000)) < FALSE_ALARM


def test_the_statistic_on_known_laws() -> None:
    generator = torch.Generator().manual_seed(0)
    one, other = (torch.multinomial(torch.tensor([0.5, 0.3, 0.2]), 2000, True, generator=generator) for _ in range(2))
    shifted = torch.multinomial(torch.tensor([0.4, 0.4, 0.2]), 2000, True, generator=generator)
    assert p_value(one.tolist(), other.tolist()) > 1e-3
    assert p_value(one.tolist(), shifted.tolist()) < 1e-6
