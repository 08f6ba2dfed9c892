"""Length bounds and loop detection, token by token and against the plain definition."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spear_accel.decoding.reference import ends_in_loop
from spear_accel.decoding.scheduler import fill_gaps
from spear_accel.decoding.stopping import LengthBounds, LoopCriterion, LoopDetector
from spear_accel.errors import UserError


def first_loop(tokens: list[int], guard: LoopCriterion) -> int | None:
    watch = LoopDetector(guard)
    return next((end for end in range(1, len(tokens) + 1) if watch.push(tokens[:end])), None)


@settings(max_examples=200)
@given(st.lists(st.integers(0, 2), max_size=60), st.integers(4, 12), st.integers(1, 3))
def test_watch_agrees_with_the_definition(tokens: list[int], span: int, period: int) -> None:
    ends = [end for end in range(1, len(tokens) + 1) if ends_in_loop(tokens[:end], span, period)]
    assert first_loop(tokens, LoopCriterion(span, period)) == (ends[0] if ends else None)


def test_a_real_pause_is_no_loop() -> None:
    speech = [n * 7 % 101 for n in range(60)]
    pause_of_a_second = [[3] * 50, [3, 3, 3, 4] * 12, [3, 4] * 25]
    for pause in pause_of_a_second:
        assert first_loop(speech + pause + speech, LoopCriterion()) is None


@pytest.mark.parametrize("cycle", [[3], [3, 4], list(range(12))])
def test_loops_are_found(cycle: list[int]) -> None:
    tokens = [99, 98, 97, *(cycle * 80)[:80]]
    assert first_loop(tokens, LoopCriterion()) == 3 + 75


def test_length_bounds() -> None:
    guard = LengthBounds(tokens_per_unit=3.6, shortest=0.5, longest=2.0, slack=20)
    assert (guard.minimum(10), guard.expected(10), guard.maximum(10)) == (18, 36.0, 92)
    assert (guard.minimum(0), guard.maximum(0)) == (0, 20)
    with pytest.raises(UserError, match="length bounds"):
        LengthBounds(shortest=2.0, longest=1.0)
    with pytest.raises(UserError, match="loop criterion"):
        LoopCriterion(span=5, period=5)


@given(st.lists(st.booleans(), max_size=12))
def test_gaps_are_filled_with_the_fewest_moves(stays: list[bool]) -> None:
    order = fill_gaps(stays)
    assert sorted(order) == [row for row, stay in enumerate(stays) if stay]
    moved = sum(new != old for new, old in enumerate(order))
    assert moved == sum(not stay for stay in stays[: len(order)])
