"""Counts of what decoding did. Knows nothing about how it was done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from itertools import zip_longest
from typing import Any, NamedTuple


@dataclass(frozen=True)
class DecodeStats:
    """Counts over a whole call or over one utterance; tokens are counted after truncation at the stop, EOS included."""

    target_calls: int
    """Forwards of the full decoder."""
    row_calls: int
    """Target calls summed over the rows that took part."""
    drafted: int
    accepted: int
    committed: int
    wall_seconds: float
    draft_seconds: float = 0.0
    """Spent by the drafter; of the whole call only."""
    target_seconds: float = 0.0
    """Spent in target calls; of the whole call only."""
    reached: tuple[int, ...] = ()
    """Rows times rounds in which depth i = 1, 2, ... of a draft was offered."""
    passed: tuple[int, ...] = ()
    """Rows times rounds in which a path of i draft tokens was accepted."""

    @classmethod
    def total(cls, parts: Sequence[DecodeStats]) -> DecodeStats:
        """Sums of several calls."""
        values: dict[str, Any] = {}
        for name in (entry.name for entry in fields(cls)):
            column = [getattr(part, name) for part in parts]
            by_position = isinstance(getattr(cls, name, 0), tuple)
            values[name] = tuple(map(sum, zip_longest(*column, fillvalue=0))) if by_position else sum(column)
        return cls(**values)

    @property
    def block_efficiency(self) -> float:
        """Committed tokens per target call and row; 1 for autoregressive decoding."""
        return self.committed / self.row_calls if self.row_calls else 0.0

    @property
    def acceptance_rate(self) -> float:
        """Accepted / drafted tokens; 0 where nothing was drafted."""
        return self.accepted / self.drafted if self.drafted else 0.0

    @property
    def acceptance_by_position(self) -> tuple[float, ...]:
        """P(first i draft tokens all accepted), i = 1, 2, ..., of the drafts that were that long."""
        return tuple(passed / reached for passed, reached in zip(self.passed, self.reached, strict=True))


class RowOutcome(NamedTuple):
    """What became of one row's draft in one round.

    The first three fields end where the utterance stopped: tokens behind a stop were neither accepted nor rejected.
    """

    offered: int
    """Depth of the draft."""
    accepted: int
    """Length of the accepted path."""
    steps: tuple[tuple[int, int], ...] = ()
    """At each depth that the accepted path got to: how many candidates were offered, and the rank of the accepted one,
    0 where none was."""
    path: tuple[int, ...] = ()
    """Nodes of the whole accepted path, whether or not the utterance stopped on the way."""
    drafted: int = 0
    """Nodes of the draft."""


@dataclass
class DecodeCounts:
    """Sums over the rounds in which rows of one call took part."""

    calls: int = 0
    row_calls: int = 0
    drafted: int = 0
    accepted: int = 0
    committed: int = 0
    draft_seconds: float = 0.0
    target_seconds: float = 0.0
    reached: list[int] = field(default_factory=list)
    passed: list[int] = field(default_factory=list)

    def add(self, rows: Sequence[RowOutcome], draft_seconds: float, target_seconds: float) -> None:
        """One round: what became of each row's draft, and the seconds of its two halves."""
        self.calls += 1
        self.draft_seconds += draft_seconds
        self.target_seconds += target_seconds
        missing = max(row.offered for row in rows) - len(self.reached)
        self.reached += [0] * missing
        self.passed += [0] * missing
        for offered, accepted, *_ in rows:
            for number in range(offered):
                self.reached[number] += 1
                self.passed[number] += number < accepted

    def retire(self, row: DecodeStats) -> None:
        """A row has stopped, whether it is decoded again or not."""
        self.row_calls += row.row_calls
        self.drafted += row.drafted
        self.accepted += row.accepted
        self.committed += row.committed

    def stats(self, wall_seconds: float) -> DecodeStats:
        """Of the whole call."""
        return DecodeStats(
            target_calls=self.calls,
            row_calls=self.row_calls,
            drafted=self.drafted,
            accepted=self.accepted,
            committed=self.committed,
            wall_seconds=wall_seconds,
            draft_seconds=self.draft_seconds,
            target_seconds=self.target_seconds,
            reached=tuple(self.reached),
            passed=tuple(self.passed),
        )
