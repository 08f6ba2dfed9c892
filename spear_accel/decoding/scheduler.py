"""Which requests are live in which row: at most `batch_size`, refilled at once from the queue.

Knows requests and their stops; knows neither model nor tensors.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from spear_accel.decoding.request import RunningRequest

__all__ = ["Scheduler", "fill_gaps", "longest_first"]


class Scheduler:
    """Live rows and the queue of requests that wait for one."""

    def __init__(self, batch_size: int) -> None:
        self.rows: list[RunningRequest] = []
        self.waiting: deque[RunningRequest] = deque()
        self.batch_size = batch_size

    def admit(self) -> list[RunningRequest]:
        """Fill the free rows from the queue; returns the new ones, which are the last of `rows`."""
        count = max(0, min(self.batch_size - len(self.rows), len(self.waiting)))
        new = [self.waiting.popleft() for _ in range(count)]
        self.rows += new
        return new

    def retire(self) -> tuple[list[int], list[RunningRequest]]:
        """Take out the rows that have stopped or were aborted. Loops that may be decoded again go to the queue's front.

        Returns:
            Which old row each new row is (the last rows fill the gaps, so few move), and the requests that have
            stopped for good, aborted ones left out.
        """
        stopped = [row for row in self.rows if row.stop_reason is not None and not row.aborted]
        again = [row for row in stopped if row.can_retry]
        order = fill_gaps([row.stop_reason is None and not row.aborted for row in self.rows])
        self.rows = [self.rows[old] for old in order]
        ended = [row for row in stopped if not row.can_retry]
        for row in again:
            row.retry()
        self.waiting.extendleft(again)
        return order, ended


def longest_first(requests: Sequence[RunningRequest]) -> list[RunningRequest]:
    """By expected length, so that no row stands empty for long while the last ones are decoded."""
    return sorted(requests, key=lambda request: (-request.expected_tokens, request.index))


def fill_gaps(stays: Sequence[bool]) -> list[int]:
    """Old index of each row that stays, with gaps filled from the end so that the fewest rows move."""
    count = sum(stays)
    spare = [row for row in range(count, len(stays)) if stays[row]]
    return [row if stays[row] else spare.pop() for row in range(count)]
