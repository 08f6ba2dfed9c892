"""Counter-based noise: golden values, uniformity, independence, devices."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spear_accel.decoding.noise import NoiseBank, RowNoise, gumbel_from, retry_seed, row_words, uniforms, utterance_key

GOLDEN_KEY = 13508496563656904228
GOLDEN_WORDS = (1808860797, 1197038407)
GOLDEN_SEEDS = [7, 837153010, 36052587]
GOLDEN_UNIFORMS = [[4475889664, 613008384, 8780327], [7270467072, 7258833408, 6076612096]]
"""In units of 2**-33, the finest that the generator knows."""


def words(*seeds: int) -> torch.Tensor:
    return torch.tensor([row_words(seed, utterance_key([5, 6])) for seed in seeds])


def test_golden_values() -> None:
    """A change here changes every voice's output for every seed."""
    assert utterance_key([3, 1, 4]) == GOLDEN_KEY
    assert row_words(7, 11) == GOLDEN_WORDS
    assert [retry_seed(7, attempt) for attempt in range(3)] == GOLDEN_SEEDS
    bits = uniforms(torch.tensor([row_words(7, 11)]), torch.tensor([[0, 1000]]), torch.tensor([0, 1, 500]))
    assert (bits[0].double() * 2**33).long().tolist() == GOLDEN_UNIFORMS


def test_open_interval_and_finite_gumbel() -> None:
    extremes = torch.tensor([2.0**-33, 1.0 - 2.0**-24])
    assert bool(gumbel_from(extremes).isfinite().all())
    drawn = uniforms(words(0), torch.arange(4000)[None], torch.arange(500))
    assert 0.0 < float(drawn.min()) < 1e-5
    assert 1.0 - 1e-5 < float(drawn.max()) < 1.0


def test_uniform() -> None:
    """1,000,000 numbers in 100 bins: chi-square with 99 degrees of freedom stays below 175 with 1 - 4e-6."""
    drawn = uniforms(words(1), torch.arange(2000)[None], torch.arange(500)).flatten()
    counts = torch.histc(drawn, 100, 0.0, 1.0).double()
    assert float(((counts - 10_000) ** 2 / 10_000).sum()) < 175


def test_gumbel_moments() -> None:
    """Mean and variance of 1,000,000 numbers within six standard errors (.0013 and .0045 each; 4e-9)."""
    drawn = gumbel_from(uniforms(words(2), torch.arange(2000)[None], torch.arange(500))).double()
    assert abs(float(drawn.mean()) - 0.5772157) < 6 * 0.00129
    assert abs(float(drawn.var()) - math.pi**2 / 6) < 6 * 0.0035


@pytest.mark.parametrize("other", ["token", "position", "seed", "utterance"])
def test_neighbours_are_uncorrelated(other: str) -> None:
    """250,000 pairs: |correlation| stays below 6 / sqrt(n) = .012 with probability 1 - 2e-9."""
    positions, tokens = torch.arange(500)[None], torch.arange(500)
    first = uniforms(words(3), positions, tokens)
    changed = {
        "token": (words(3), positions, tokens + 1),
        "position": (words(3), positions + 1, tokens),
        "seed": (words(4), positions, tokens),
        "utterance": (torch.tensor([row_words(3, utterance_key([5, 7]))]), positions, tokens),
    }
    second = uniforms(*changed[other])
    pair = torch.stack((first.flatten(), second.flatten())).double()
    assert abs(float(torch.corrcoef(pair)[0, 1])) < 0.012


def test_rows_and_order_do_not_matter() -> None:
    positions, tokens = torch.tensor([[4, 5], [9, 10], [0, 1]]), torch.arange(50)
    together = uniforms(words(1, 2, 3), positions, tokens)
    torch.testing.assert_close(uniforms(words(3, 1), positions[[2, 0]], tokens), together[[2, 0]], rtol=0, atol=0)


def test_row_noise_counts_from_each_rows_position() -> None:
    noise = RowNoise(words(1, 2), torch.tensor([4, 9]), torch.arange(50), greedy=False)
    ahead, one = noise.gumbel(0, 3), noise.gumbel(2, 1)
    assert ahead is not None
    assert one is not None
    torch.testing.assert_close(ahead[:, 2:], one, rtol=0, atol=0)
    assert RowNoise(words(1), torch.tensor([4]), torch.arange(5), greedy=True).gumbel(0, 1) is None


@settings(max_examples=40)
@given(st.lists(st.tuples(st.lists(st.integers(0, 9), min_size=3, max_size=3), st.integers(1, 6)), max_size=30))
def test_a_bank_gives_what_each_round_would_make_itself(rounds: list[tuple[list[int], int]]) -> None:
    """Rows advance at their own rate; the bank is renamed on the way."""
    tokens = torch.arange(11)
    bank, positions, named = NoiseBank(tokens), [0, 3, 100], [row_words(5, row) for row in range(3)]
    bank.name(named, [False] * 3)
    for number, (steps, count) in enumerate(rounds):
        found = bank.round(positions, count).gumbel(0, count)
        made = RowNoise(torch.tensor(named), torch.tensor(positions), tokens, greedy=False).gumbel(0, count)
        assert found is not None and made is not None and torch.equal(found, made)
        positions = [position + step for position, step in zip(positions, steps, strict=True)]
        if number % 7 == 6:
            named = named[::-1]
            bank.name(named, [False] * 3)


def test_a_bank_makes_nothing_at_temperature_0() -> None:
    bank = NoiseBank(torch.arange(5))
    bank.name([(1, 2)], [True])
    assert bank.round([4], 3).gumbel(0, 3) is None


def test_keys_tell_texts_apart() -> None:
    texts = [[1], [1, 1], [1, 2], [2, 1], [], [12], [-1]]
    assert len({utterance_key(text) for text in texts}) == len(texts)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_same_bits_on_the_gpu() -> None:
    arguments = words(1, 2), torch.arange(2000).view(2, 1000), torch.arange(500)
    on_gpu = uniforms(*(argument.cuda() for argument in arguments))
    assert torch.equal(on_gpu.cpu(), uniforms(*arguments))
