"""The drafting contract. A drafter sees the decoder state of all live rows and proposes how each goes on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from torch import Tensor

from spear_accel.decoding.context import DraftContext
from spear_accel.decoding.proposal import Proposal, Verdict
from spear_accel.model import DecoderState

__all__ = ["Drafter", "Topology", "fixed_topology"]

Topology = Literal["chain", "comb", "tree"]
"""Where candidates may stand: one at each depth; several at each depth, of which the draft goes on behind the first
(a chain with leaves beside it); or behind any node."""


class Drafter(Protocol):
    """Proposes tokens; keeps whatever state of its own in step with the engine's rows."""

    longest: int
    """Deepest draft that it ever proposes; the engine sizes the cache by it."""
    topology: Topology
    """The widest drafts that it makes; see `fixed_topology` for those that no gate shapes."""
    autoregressive: bool
    """Whether it draws one token after another, so that a gate can stop or widen a draft while it is made."""

    def reset(self, rows: int, capacity: int, text_capacity: int) -> None:
        """Forget all rows. From now on at most `rows` rows of `capacity` semantic and `text_capacity` text ids live."""

    def add_rows(self, state: DecoderState, texts: Tensor) -> None:
        """Take in the last n rows of `state`, which are new and at position 0.

        Args:
            state: Caches of all live rows.
            texts: int64 [n, X], text ids of the new rows as the encoder reads them.
        """

    def propose(self, context: DraftContext) -> Proposal:
        """Draft for every live row. May write the cache behind the rows' lengths, and leaves the lengths as found."""

    def commit(self, verdict: Verdict, hidden: Tensor) -> None:
        """Learn the outcome of the round.

        Args:
            verdict: What is committed in each row.
            hidden: [B, N + 1, D], hidden states of the target at the root and at each node, before its final norm. Row
                b's state at its last committed input is `hidden[b, path[b][-1] + 1]`, entry 0 without a path.
        """

    def select(self, rows: Sequence[int]) -> None:
        """Make live row `rows[i]` the new row i; all others leave."""


def fixed_topology(drafter: Drafter) -> Topology:
    """The widest drafts whose shape is fixed before they are made: an autoregressive drafter makes trees for a gate
    only."""
    return "comb" if drafter.autoregressive and drafter.topology == "tree" else drafter.topology
