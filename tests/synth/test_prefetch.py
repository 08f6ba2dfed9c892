"""Items made in a thread: in order, within a bound, errors included."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from spear_accel.errors import UserError
from spear_accel.synth.prefetch import prefetch


def test_no_more_items_than_the_bound_are_made_before_they_are_asked_for() -> None:
    begun: list[int] = []

    def items() -> Iterator[int]:
        for number in range(100):
            begun.append(number)
            yield number

    thread = ThreadPoolExecutor(1)
    waiting = prefetch(items(), 3, thread)
    assert [next(waiting) for _ in range(10)] == list(range(10))
    time.sleep(0.1)
    assert len(begun) <= 10 + 3 + 2
    waiting.close()
    assert thread.submit(len, begun).result(timeout=5) < 20


def test_an_error_in_the_thread_is_raised_to_the_consumer() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise UserError("is full")

    waiting = prefetch(items(), 2, ThreadPoolExecutor(1))
    assert next(waiting) == 1
    with pytest.raises(UserError, match="is full"):
        next(waiting)
