"""Drafting with the recurrent head: a cell that starts from the target's last hidden state and reads its own drafts.

After "Recurrent Drafter", Zhang et al. 2024, arXiv 2403.09919. Runs no layer of the target and keeps no cache. Each
row's start follows its last *committed* position.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from torch import Tensor

from spear_accel.decoding.context import DraftContext
from spear_accel.decoding.draft.base import Topology
from spear_accel.decoding.draft.chain import draft_stepwise
from spear_accel.decoding.draft.last_states import LastStates
from spear_accel.decoding.draft.spec import DrafterInputs, MethodSpec
from spear_accel.decoding.proposal import Proposal, Verdict
from spear_accel.heads.native_recurrent import NativeRecurrent
from spear_accel.heads.recurrent import HEAD, Recurrent
from spear_accel.model import CrossCache, DecoderState
from spear_accel.native import choose_kernel

__all__ = ["METHOD", "RecurrentDrafter"]


class RecurrentDrafter:
    """See `Drafter` for the methods."""

    topology: Topology = "tree"
    autoregressive = True

    def __init__(self, head: Recurrent, longest: int) -> None:
        self._cell, self.longest = _computing(head), longest
        self._states = LastStates(head.first, 1)

    def reset(self, rows: int, capacity: int, text_capacity: int) -> None:
        """Nothing to size."""
        self._states.reset()

    def add_rows(self, state: DecoderState, texts: Tensor) -> None:
        self._states.add_rows(len(texts))

    def propose(self, context: DraftContext) -> Proposal:
        if context.draft_length == 0:
            return Proposal.empty(context.state.rows, context.last_token.device)
        cell, cross = self._cell.start(self._states.values), context.state.cross

        def step(token: Tensor) -> Tensor:
            nonlocal cell
            cell, logits = self._cell.step(cell, token, cross)
            return logits

        def branch(places: list[int]) -> None:
            nonlocal cell
            cell = self._cell.fork(cell, places)

        return draft_stepwise(context, step, branch)

    def commit(self, verdict: Verdict, hidden: Tensor) -> None:
        self._states.commit(verdict, hidden)

    def select(self, rows: Sequence[int]) -> None:
        self._states.select(rows)


class _Cell(Protocol):
    """What reads tokens: the head itself, or the native step in its place. States are its own matter."""

    def start(self, hidden: Tensor) -> Any: ...

    def step(self, state: Any, tokens: Tensor, cross: CrossCache) -> tuple[Any, Tensor]: ...

    def fork(self, state: Any, places: list[int]) -> Any: ...


def _computing(head: Recurrent) -> _Cell:
    """What runs the head: the native step wherever it can, else PyTorch."""
    kernel = choose_kernel().kernel
    return head if kernel is None or not NativeRecurrent.fits(head) else NativeRecurrent(head, kernel)


def _make(inputs: DrafterInputs) -> RecurrentDrafter:
    return RecurrentDrafter(inputs.head_as(Recurrent), inputs.longest)


METHOD = MethodSpec(
    "recurrent", "a recurrent cell on the target's last hidden state", _make, needs="head", head=HEAD, preference=10
)
