"""Known paths through a text give known skips and repeats."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spear_accel.alignment.coverage import Alignment, measure_coverage
from spear_accel.alignment.viterbi import best_path
from tests.alignment.conftest import looks, steady


def read(path: list[int], letters: int) -> Alignment:
    """What is found by attention that rests on a path."""
    found = best_path(looks(path, letters).numpy())
    alignment = measure_coverage(found, letters)
    assert alignment.path == tuple(found)
    return alignment


@given(st.lists(st.integers(2, 5), min_size=3, max_size=40))
@settings(max_examples=50)
def test_a_path_that_only_moves_on_has_read_all(dwell: list[int]) -> None:
    path = [place for place, count in enumerate(dwell) for _ in range(count)]
    found = read(path, len(dwell))
    assert (found.coverage, found.skipped, found.repeated) == (1.0, 0, 0)


@given(st.data())
@settings(max_examples=50)
def test_a_stretch_that_is_cut_out_is_skipped(data: st.DataObject) -> None:
    width = data.draw(st.integers(20, 50))
    size = data.draw(st.integers(8, width - 12))
    start = data.draw(st.integers(0, width - size))
    path = [place for place in steady(width) if not start <= place < start + size]
    found = read(path, width)
    assert (found.skipped, found.skipped_at, found.repeated) == (size, start, 0)
    assert found.coverage == pytest.approx(1 - size / width)


@given(st.data())
@settings(max_examples=50)
def test_a_stretch_that_is_said_twice_is_repeated(data: st.DataObject) -> None:
    width = data.draw(st.integers(12, 50))
    size = data.draw(st.integers(5, width))
    start = data.draw(st.integers(0, width - size))
    whole = steady(width)
    path = [*whole[: 3 * (start + size)], *whole[3 * start :]]
    found = read(path, width)
    assert (found.coverage, found.skipped, found.repeated, found.repeated_at) == (1.0, 0, size, start)


def test_a_glide_over_letters_is_a_skip_too() -> None:
    """No step is a jump, but nobody reads 12 letters in 4 tokens."""
    path = [*steady(12), 14, 17, 20, 23, *(place + 24 for place in steady(12))]
    found = read(path, 36)
    assert found.skipped >= 7
    assert 11 <= found.skipped_at <= 12


def test_letters_that_are_not_heard_are_not_missed() -> None:
    path = [place for place in steady(30) if place not in (0, 7, 8, 15, 29)]
    found = read(path, 30)
    assert found.coverage == 1.0
    assert found.skipped == 2
