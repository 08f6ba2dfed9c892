"""Logits -> probabilities: filters against brute force, temperature 0 without division."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spear_accel.decoding.sampling import SamplingParams, choose, log_probabilities

LOGITS = st.lists(st.floats(-8, 8, width=16), min_size=2, max_size=12).map(torch.tensor)
COMMON = settings(max_examples=60)


def probabilities(logits: torch.Tensor, **fields: float) -> list[float]:
    return log_probabilities(logits, SamplingParams(**{"temperature": 1.0, **fields})).exp().tolist()  # type: ignore[arg-type]


@COMMON
@given(LOGITS, st.floats(0.1, 3.0))
def test_temperature_is_a_power_of_the_probabilities(logits: torch.Tensor, temperature: float) -> None:
    expected = logits.double().softmax(-1) ** (1 / temperature)
    torch.testing.assert_close(
        torch.tensor(probabilities(logits, temperature=temperature), dtype=torch.float64),
        expected / expected.sum(), atol=1e-4, rtol=1e-4,
    )  # fmt: skip


@COMMON
@given(LOGITS, st.integers(1, 14))
def test_top_k_keeps_the_k_best(logits: torch.Tensor, k: int) -> None:
    kept = [p > 0 for p in probabilities(logits, top_k=k)]
    least = sorted(logits.tolist(), reverse=True)[min(k, len(logits)) - 1]
    assert kept == [value >= least for value in logits.tolist()]


@COMMON
@given(LOGITS, st.floats(0.05, 1.0))
def test_top_p_is_the_smallest_sufficient_set(logits: torch.Tensor, p: float) -> None:
    law = logits.softmax(-1)
    filtered = torch.tensor(probabilities(logits, top_p=p))
    kept = filtered > 0
    assert float(law[kept].sum()) >= p - 1e-5
    smallest = law[kept].min()
    assert float(law[kept].sum() - smallest) < p + 1e-5, "its least likely member was not needed"
    assert bool((law[~kept] <= smallest).all())
    torch.testing.assert_close(filtered[kept], law[kept] / law[kept].sum(), atol=1e-4, rtol=1e-3)


@COMMON
@given(LOGITS, st.lists(st.integers(-1, 11), min_size=1, max_size=6), st.floats(0.5, 2.0))
def test_penalty_by_hand(logits: torch.Tensor, history: list[int], penalty: float) -> None:
    history = [min(token, len(logits) - 1) for token in history]
    expected = logits.clone()
    for token in {token for token in history if token >= 0}:
        value = float(logits[token])
        expected[token] = value / penalty if value > 0 else value * penalty
    actual = log_probabilities(logits, SamplingParams(1.0, repetition_penalty=penalty), torch.tensor(history))
    torch.testing.assert_close(actual, expected.log_softmax(-1), atol=1e-4, rtol=1e-4)


def test_temperature_zero_is_the_argmax_whatever_the_noise() -> None:
    logits = torch.tensor([[1.0, 3.0, 2.9], [0.0, -1.0, 5.0]], dtype=torch.bfloat16)
    law = log_probabilities(logits, SamplingParams(temperature=0.0, top_k=2, top_p=0.5))
    assert law.exp().tolist() == [[0, 1, 0], [0, 0, 1]]
    assert choose(law, torch.randn(2, 3) * 100).tolist() == choose(law, None).tolist() == [1, 2]


def test_filters_act_per_row_and_forbidden_tokens_come_first() -> None:
    logits = torch.tensor([[5.0, 4.0, 3.0], [1.0, 2.0, 3.0]])
    law = log_probabilities(logits, SamplingParams(1.0, top_k=1), forbidden=torch.tensor([True, False, False])).exp()
    assert law.tolist() == [[0, 1, 0], [0, 0, 1]]


@pytest.mark.parametrize("fields", [{}, {"top_k": 4}, {"top_p": 0.7}, {"temperature": 0.5}])
def test_draws_follow_the_law(fields: dict[str, float]) -> None:
    """40,000 Gumbel draws; chi-square with at most 9 degrees of freedom stays below 40 with probability 1 - 8e-6."""
    from spear_accel.decoding.noise import gumbel_from, uniforms

    logits = torch.tensor([2.0, 1.5, 1.0, 0.0, -1.0, 0.7, 0.6, -2.0, 0.1, 0.2])
    law = log_probabilities(logits, SamplingParams(**{"temperature": 1.0, **fields}))  # type: ignore[arg-type]
    words, count = torch.tensor([[123456789, 987654321]]), 40_000
    noise = gumbel_from(uniforms(words, torch.arange(count)[None], torch.arange(10)))[0]
    drawn = torch.bincount(choose(law, noise), minlength=10).double()
    expected = law.exp().double() * count
    possible = expected > 0
    assert drawn[~possible].sum() == 0
    assert float(((drawn - expected)[possible] ** 2 / expected[possible]).sum()) < 40
