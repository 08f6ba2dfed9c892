"""The formulas against sums written out and against a simulation of the model behind them."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spear_accel.bench import Run, make_records
from spear_accel.bench.acceptance import acceptance, conditional, leviathan_speedup, predict, tokens_per_round
from spear_accel.bench.records import Conditions

SHARES = st.floats(0.0, 1.0)


@settings(max_examples=60)
@given(SHARES, st.integers(0, 10))
def test_tokens_per_round_is_the_geometric_sum(alpha: float, length: int) -> None:
    assert tokens_per_round(alpha, length) == pytest.approx(sum(alpha**i for i in range(length + 1)))


@settings(max_examples=60)
@given(SHARES, st.integers(1, 8))
def test_acceptance_is_found_again_from_positions(alpha: float, length: int) -> None:
    by_position = [alpha**i for i in range(1, length + 1)]
    assert acceptance(by_position) == pytest.approx(alpha)
    assert conditional(by_position) == pytest.approx([alpha] * len(conditional(by_position)), abs=1e-6)


def test_block_efficiency_of_simulated_rounds() -> None:
    """20,000 rounds with four drafts of acceptance 0.7; the tolerance is over six standard errors (0.0117 each)."""
    draw = random.Random(3)
    rounds = [next((i for i in range(4) if draw.random() >= 0.7), 4) for _ in range(20_000)]
    by_position = [sum(count >= i for count in rounds) / len(rounds) for i in range(1, 5)]
    assert acceptance(by_position) == pytest.approx(0.7, abs=0.02)
    assert tokens_per_round(0.7, 4) == pytest.approx(1 + sum(rounds) / len(rounds), abs=0.075)


@settings(max_examples=60)
@given(st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_drafting_pays_if_acceptance_exceeds_cost(alpha: float, cost: float) -> None:
    best = max(leviathan_speedup(alpha, length, cost) for length in range(1, 200))
    assert best > 1.0 if alpha > cost + 1e-9 else best <= 1.0 + 1e-9


def test_prediction_of_a_record(runs: list[Run], conditions: Conditions) -> None:
    plain, prophet = make_records(runs, conditions)
    assert predict(plain) is None
    expected = predict(prophet)
    assert expected is not None
    assert expected.alpha == pytest.approx(0.5)
    assert expected.block_efficiency == pytest.approx(1.75) == prophet.block_efficiency
    assert expected.speedup == pytest.approx(1.75 / 1.2)
    assert expected.batch_speedup == pytest.approx(1.75 / (0.2 + 1.25))


def test_no_cost_no_predicted_speed_up(runs: list[Run], conditions: Conditions) -> None:
    expected = predict(replace(make_records(runs, conditions)[1], draft_cost=None))
    assert expected is not None
    assert expected.speedup is expected.batch_speedup is None
