"""How many requests, and how much text, are spoken at once; whoever comes beyond it is told when to come again."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from spear_accel.server.errors import ApiError

__all__ = ["Admission"]

_REMEMBERED = 32
"""Ends of requests that tell how soon the next one ends."""


class Admission:
    """Counts requests and their characters; used by one thread, that of the event loop."""

    def __init__(self, most_requests: int, longest_text: int, most_text: int) -> None:
        self._most_requests, self._longest_text, self._most_text = most_requests, longest_text, most_text
        self.requests = 0
        self.characters = 0
        self._ends: deque[float] = deque(maxlen=_REMEMBERED)

    @contextmanager
    def admitted(self, *lengths: int) -> Iterator[Admitted]:
        """For the length of a request; lengths: characters of each of its texts.

        Raises:
            ApiError: 413, the text is too long for any time; 429, too much is going on.
        """
        if self.requests >= self._most_requests:
            raise self._busy(f"{self.requests} requests are being spoken or wait")
        self.requests += 1
        one = Admitted(self)
        try:
            for length in lengths:
                self.check(0, length)
                one.take(length)
            yield one
        finally:
            self.requests -= 1
            self.characters -= one.characters
            self._ends.append(time.monotonic())

    def check(self, held: int, more: int) -> None:
        """Whether a request that holds so many characters may hold more."""
        if held + more > self._longest_text:
            raise ApiError(
                413,
                f"the text has more than {self._longest_text} characters; send it in parts",
                code="text_too_long",
                param="input",
            )
        if self.characters + more > self._most_text:
            raise self._busy(f"texts of {self.characters} characters are being spoken or wait")

    def _busy(self, reason: str) -> ApiError:
        seconds = str(self._retry_after())
        return ApiError(429, f"{reason}; try again", code="rate_limit_exceeded", headers={"Retry-After": seconds})

    def _retry_after(self) -> int:
        """Seconds until a place is free, by how often requests have ended of late."""
        if len(self._ends) < 2:
            return 1
        return min(60, max(1, math.ceil((self._ends[-1] - self._ends[0]) / (len(self._ends) - 1))))


class Admitted:
    """One request in the house."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self.characters = 0

    def add(self, characters: int) -> None:
        """Let a text grow. Raises ApiError as `Admission.admitted`."""
        self._admission.check(self.characters, characters)
        self.take(characters)

    def take(self, characters: int) -> None:
        """Count characters."""
        self.characters += characters
        self._admission.characters += characters
