"""When an utterance stops, beside EOS: length bounds and loops. Knows token ids and counts only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from spear_accel.errors import UserError

# A held sound or a short pause repeats a cycle for a few tokens; that is no sign of a loop yet.
_A_FEW = 12


@dataclass(frozen=True)
class LengthBounds:
    """Bounds on an utterance's semantic tokens from the length of its text.

    A text is measured in whatever unit the caller counts (characters, text ids); `tokens_per_unit` belongs to
    that unit and to the voice. The defaults know no voice: they forbid nothing short and allow a lot.
    """

    tokens_per_unit: float = 8.0
    """Expected semantic tokens per unit of text."""
    shortest: float = 0.0
    """EOS is forbidden before this share of the expected length."""
    longest: float = 4.0
    """Decoding stops at this multiple of the expected length plus `slack`."""
    slack: int = 50

    def __post_init__(self) -> None:
        if not (self.tokens_per_unit > 0.0 and 0.0 <= self.shortest <= self.longest and self.slack >= 1):
            raise UserError(f"length bounds: needs tokens_per_unit > 0, shortest <= longest, slack >= 1: {self}")

    def expected(self, units: int) -> float:
        return self.tokens_per_unit * units

    def minimum(self, units: int) -> int:
        return math.floor(self.shortest * self.expected(units))

    def maximum(self, units: int) -> int:
        return math.ceil(self.longest * self.expected(units)) + self.slack


@dataclass(frozen=True)
class LoopCriterion:
    """Takes the last `span` tokens for a loop if they are one cycle of up to `period` tokens, repeated.

    Period 1 is a held token. A pause of a second is a run of up to 50 tokens, which must pass.
    """

    span: int = 75
    period: int = 12

    def __post_init__(self) -> None:
        if not 1 <= self.period < self.span:
            raise UserError(f"loop criterion: period must lie between 1 and span - 1: {self}")


@dataclass(frozen=True)
class StoppingCriteria:
    """What ends an utterance that does not end by itself."""

    length: LengthBounds = field(default_factory=LengthBounds)
    loop: LoopCriterion = field(default_factory=LoopCriterion)


class LoopDetector:
    """Watches one utterance grow, token by token, for a loop."""

    def __init__(self, criterion: LoopCriterion) -> None:
        self.criterion = criterion
        self._runs = [0] * criterion.period

    def push(self, tokens: Sequence[int]) -> bool:
        """`tokens` has grown by its last element; true if it now ends in a loop."""
        last, length = tokens[-1], len(tokens)
        looped = False
        for period in range(1, self.criterion.period + 1):
            same = length > period and tokens[-1 - period] == last
            self._runs[period - 1] = self._runs[period - 1] + 1 if same else 0
            looped = looped or self._runs[period - 1] + period >= self.criterion.span
        return looped

    @property
    def revocable(self) -> int:
        """How many of the last tokens may turn out to be a loop, and be revoked: the repeated ones but for a few.

        Their beginning does not move until the repetition breaks, so a loop is cut at the same place whenever one asks.
        """
        return max(0, max(self._runs) - _A_FEW)
