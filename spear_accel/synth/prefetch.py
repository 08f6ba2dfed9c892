"""Runs an iterator in a thread, a bounded number of items before they are asked for. Knows nothing of the items."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from concurrent.futures import Executor
from queue import Empty, Queue
from threading import Event
from typing import TypeVar

__all__ = ["prefetch"]

T = TypeVar("T")
_POLL_SECONDS = 0.05


class _End:
    """No more items come; `error` is what the iterator raised, if it did."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def prefetch(items: Iterable[T], size: int, thread: Executor) -> Generator[T, None, None]:
    """Yields `items`, which `thread` makes, at most `size` of them before they are asked for.

    The bound makes the thread wait for a slower consumer, instead of filling the memory. What `items` raises is raised
    here. Closing the generator ends the thread's work at the next item.
    """
    queue: Queue[T | _End] = Queue(size)
    closed = Event()
    filling = thread.submit(_fill, items, queue, closed)
    try:
        while not isinstance(item := queue.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        closed.set()
        # The thread may wait for room in the queue.
        while not filling.done():
            try:
                queue.get(timeout=_POLL_SECONDS)
            except Empty:
                continue


def _fill(items: Iterable[T], queue: Queue[T | _End], closed: Event) -> None:
    error: BaseException | None = None
    try:
        for item in items:
            if closed.is_set():
                break
            queue.put(item)
    except BaseException as raised:
        error = raised
    queue.put(_End(error))
