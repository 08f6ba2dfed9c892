"""A text under preparation whose every character knows which stretch of the user's text it came from."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

__all__ = ["Edit", "Source"]

Edit = tuple[int, int, str]
"""Start, stop, and what stands there instead."""


@dataclass(frozen=True)
class Source:
    """`text`, and for each character where its origin starts and stops in the text as the user gave it."""

    text: str
    starts: Sequence[int]
    stops: Sequence[int]

    @classmethod
    def of(cls, text: str) -> Source:
        return cls(text, range(len(text)), range(1, len(text) + 1))

    def span(self, start: int, stop: int) -> tuple[int, int]:
        """Where text[start:stop], which is not empty, came from."""
        return self.starts[start], self.stops[stop - 1]

    def edited(self, edits: Iterable[Edit]) -> Source:
        """With each stretch replaced; edits in order, without overlap. What replaces a stretch comes from all of it."""
        parts: list[str] = []
        starts: list[int] = []
        stops: list[int] = []
        done = 0
        for start, stop, words in edits:
            parts += (self.text[done:start], words)
            starts += self.starts[done:start]
            stops += self.stops[done:start]
            if words:
                first, last = self._origin(start, stop)
                starts += [first] * len(words)
                stops += [last] * len(words)
            done = stop
        if not parts:
            return self
        return Source("".join(parts) + self.text[done:], [*starts, *self.starts[done:]], [*stops, *self.stops[done:]])

    def sub(self, pattern: re.Pattern[str], replace: str | Callable[[re.Match[str]], str]) -> Source:
        """`re.sub` with positions kept."""
        if isinstance(replace, str):
            return self.edited([(*match.span(), replace) for match in pattern.finditer(self.text)])
        return self.edited([(*match.span(), replace(match)) for match in pattern.finditer(self.text)])

    def unwrap(self, pattern: re.Pattern[str], group: str = "inner") -> Source:
        """Leave of each match only `group`, whose characters keep their own origin."""
        edits: list[Edit] = []
        for match in pattern.finditer(self.text):
            edits += ((match.start(), match.start(group), ""), (match.end(group), match.end(), ""))
        return self.edited(edits)

    def _origin(self, start: int, stop: int) -> tuple[int, int]:
        if stop > start:
            return self.span(start, stop)
        at = self.starts[start] if start < len(self.text) else (self.stops[-1] if len(self.text) else 0)
        return at, at
