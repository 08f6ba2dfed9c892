"""Making things in a thread before they are asked for, a bounded number of them. Knows nothing of what they are."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from concurrent.futures import Executor
from queue import Empty, Queue
from threading import Event
from typing import TypeVar

__all__ = ["ahead"]

T = TypeVar("T")
_LOOK_SECONDS = 0.05


class _End:
    """Nothing more comes; `fault` is why, where it is no good reason."""

    def __init__(self, fault: BaseException | None) -> None:
        self.fault = fault


def ahead(items: Iterable[T], most: int, thread: Executor) -> Generator[T, None, None]:
    """`items`, made in `thread`, at most `most` of them before they are asked for.

    The bound holds the thread back where what comes behind is slower, instead of filling the memory. What `items`
    raises is raised here. Closing this stops at the next item.
    """
    queue: Queue[T | _End] = Queue(most)
    closed = Event()
    filling = thread.submit(_fill, items, queue, closed)
    try:
        while not isinstance(item := queue.get(), _End):
            yield item
        if item.fault is not None:
            raise item.fault
    finally:
        closed.set()
        while not filling.done():
            try:
                queue.get(timeout=_LOOK_SECONDS)
            except Empty:
                continue


def _fill(items: Iterable[T], queue: Queue[T | _End], closed: Event) -> None:
    fault: BaseException | None = None
    try:
        for item in items:
            if closed.is_set():
                break
            queue.put(item)
    except BaseException as error:
        fault = error
    queue.put(_End(fault))
