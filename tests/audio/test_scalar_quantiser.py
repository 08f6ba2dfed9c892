"""Finite scalar quantisation: units against the nearest value of a grid, the grid's order, gradients."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spear_accel.audio.scalar_quantiser import ScalarQuantiser, check_levels, rounded, unit_grid
from spear_accel.errors import UserError

LEVELS = st.lists(st.integers(2, 7), min_size=1, max_size=4)


def quantiser(levels: list[int], dim: int, seed: int) -> ScalarQuantiser:
    generator = torch.Generator().manual_seed(seed)
    weight, bias = torch.randn(len(levels), dim, generator=generator), torch.randn(len(levels), generator=generator)
    return ScalarQuantiser(tuple(levels), weight, bias, unit_grid(levels))


@settings(max_examples=40, deadline=None)
@given(LEVELS, st.integers(1, 30), st.integers(0, 99))
def test_a_unit_is_the_nearest_point_of_the_grid(levels: list[int], frames: int, seed: int) -> None:
    own = quantiser(levels, 5, seed)
    features = torch.randn(frames, 5, generator=torch.Generator().manual_seed(seed + 1))
    numbers = (features @ own.weight.T + own.bias).tanh()
    # By numbers that are scaled alike: one step of any number counts as 1.
    steps = (torch.tensor(levels) - 1) / 2
    distances = torch.cdist(numbers * steps, unit_grid(levels) * steps)
    chosen = distances.gather(1, own.nearest(features)[:, None])[:, 0]
    torch.testing.assert_close(chosen, distances.min(dim=1).values, atol=1e-5, rtol=0)


@given(LEVELS)
def test_the_grid_holds_every_combination_once(levels: list[int]) -> None:
    grid = unit_grid(levels)
    assert grid.shape == (math.prod(levels), len(levels)) == (check_levels(levels), len(levels))
    assert len({tuple(row) for row in grid.tolist()}) == len(grid)
    assert float(grid.min()) == -1 and float(grid.max()) == 1


@settings(max_examples=40, deadline=None)
@given(LEVELS, st.integers(0, 99))
def test_rounded_numbers_are_those_of_their_unit(levels: list[int], seed: int) -> None:
    own = quantiser(levels, len(levels), seed)
    features = torch.randn(20, len(levels), generator=torch.Generator().manual_seed(seed))
    values = rounded(features @ own.weight.T + own.bias, levels)
    torch.testing.assert_close(values, unit_grid(levels)[own.nearest(features)])


def test_gradients_pass_the_rounding() -> None:
    numbers = torch.tensor([[0.3, -0.8]], requires_grad=True)
    rounded(numbers, (5, 4)).sum().backward()
    plain = torch.tensor([[0.3, -0.8]], requires_grad=True)
    plain.tanh().sum().backward()
    torch.testing.assert_close(numbers.grad, plain.grad)


@pytest.mark.parametrize("levels", [[], [1], [4, 1]])
def test_levels_that_say_nothing_are_refused(levels: list[int]) -> None:
    with pytest.raises(UserError, match="at least 2 levels"):
        check_levels(levels)
