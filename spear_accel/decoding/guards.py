"""Guards against utterances that end too soon, never, or in a loop. Knows token ids and counts only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from spear_accel.errors import UserError

# So many tokens that repeat what stands a cycle before them are no sign of a loop: a held sound or a short pause.
_A_FEW = 12


@dataclass(frozen=True)
class LengthGuard:
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
            raise UserError(f"length guard: needs tokens_per_unit > 0, shortest <= longest, slack >= 1: {self}")

    def expected(self, units: int) -> float:
        return self.tokens_per_unit * units

    def minimum(self, units: int) -> int:
        return math.floor(self.shortest * self.expected(units))

    def maximum(self, units: int) -> int:
        return math.ceil(self.longest * self.expected(units)) + self.slack


@dataclass(frozen=True)
class LoopGuard:
    """Takes the last `span` tokens for a loop if they are one cycle of up to `period` tokens, repeated.

    Period 1 is a held token. A pause of a second is a run of up to 50 tokens, which must pass.
    """

    span: int = 75
    period: int = 12

    def __post_init__(self) -> None:
        if not 1 <= self.period < self.span:
            raise UserError(f"loop guard: period must lie between 1 and span - 1: {self}")


@dataclass(frozen=True)
class Guards:
    length: LengthGuard = field(default_factory=LengthGuard)
    loop: LoopGuard = field(default_factory=LoopGuard)


class LoopWatch:
    """Watches one utterance grow, token by token, for a loop."""

    def __init__(self, guard: LoopGuard) -> None:
        self.guard = guard
        self._runs = [0] * guard.period

    def push(self, tokens: Sequence[int]) -> bool:
        """`tokens` has grown by its last element; true if it now ends in a loop."""
        last, length = tokens[-1], len(tokens)
        looped = False
        for period in range(1, self.guard.period + 1):
            same = length > period and tokens[-1 - period] == last
            self._runs[period - 1] = self._runs[period - 1] + 1 if same else 0
            looped = looped or self._runs[period - 1] + period >= self.guard.span
        return looped

    @property
    def doubtful(self) -> int:
        """How many of the last tokens may turn out to be a loop: those that repeat a cycle, save the first few.

        Where they begin does not move until the repetition breaks, so a loop ends at one place whenever it is asked.
        """
        return max(0, max(self._runs) - _A_FEW)
