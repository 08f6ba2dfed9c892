"""Counts of what decoding did, and its result. Knows nothing about how it was done."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor


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

    @property
    def block_efficiency(self) -> float:
        """Committed tokens per target call and row; 1 for autoregressive decoding."""
        return self.committed / self.row_calls if self.row_calls else 0.0

    @property
    def acceptance_rate(self) -> float:
        """Accepted / drafted tokens; 0 where nothing was drafted."""
        return self.accepted / self.drafted if self.drafted else 0.0


@dataclass(frozen=True)
class DecodeResult:
    """Every list has one entry per utterance, in the order given."""

    tokens: list[Tensor]
    """int64 [n_i] each, on the CPU, without start and EOS."""
    stop_reasons: list[str]
    """"eos", "max_length" or "loop"."""
    seeds: list[int]
    """The seed that made the tokens: decoding with it gives them again at once."""
    attempts: list[int]
    """1, or more where earlier tries ran into a loop."""
    stats: DecodeStats
    """Of the whole call, failed attempts included."""
    utterance_stats: list[DecodeStats] = field(default_factory=list)
    """Of each utterance's last attempt."""
