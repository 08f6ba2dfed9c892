"""Batches: every example once, bounded, a pure function of epoch and seed."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from spear_accel.data.batching import batches_by_length, shuffled_batches

LENGTHS = st.lists(st.integers(1, 200), min_size=1, max_size=60)


@settings(max_examples=50)
@given(LENGTHS, st.integers(1, 400), st.integers(0, 5), st.integers(0, 5))
def test_every_example_once_within_the_bound(lengths: list[int], bound: int, number: int, seed: int) -> None:
    batches = batches_by_length(lengths, bound, number=number, seed=seed)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[i] for i in batch) <= bound
    assert batches == batches_by_length(lengths, bound, number=number, seed=seed)


def test_order_may_repeat_and_leave_out() -> None:
    batches = batches_by_length([5, 6, 7], 14, number=0, seed=0, order=[0, 0, 2])
    assert sorted(index for batch in batches for index in batch) == [0, 0, 2]


def test_epochs_differ() -> None:
    lengths = list(range(10, 60))
    assert batches_by_length(lengths, 200, number=0, seed=0) != batches_by_length(lengths, 200, number=1, seed=0)


def test_shuffled_batches_are_full() -> None:
    batches = shuffled_batches(10, 3, number=0, seed=0)
    assert [len(batch) for batch in batches] == [3, 3, 3]
    assert len({index for batch in batches for index in batch}) == 9
    assert sorted(shuffled_batches(2, 3, number=0, seed=0)[0]) == [0, 1]
    assert shuffled_batches(0, 3, number=0, seed=0) == []
