"""The recurrent head by the native step: one call of C++ for each token of a draft.

Its weights are rounded to eight bits, with sums in float32: they take a quarter as long to arrive, and verification
makes up for what a draft loses.
"""

from __future__ import annotations

import ctypes
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from spear_accel.heads.recurrent import Recurrent
from spear_accel.model import CrossCache
from spear_accel.native import Kernel, check_fault
from spear_accel.native.structures import Reading
from spear_accel.native.structures import Recurrent as Description
from spear_accel.native.weights import CACHE_CODES, Packing, ParameterWatch, StepWeights

__all__ = ["NativeRecurrent"]

NativeState: TypeAlias = "tuple[Tensor, list[int] | None]"
"""Float32 [B, m, 2 D + H C], of each row m states, themselves normed and the queries that they put to the text; and
which of them the next tokens are read behind, all in their order if None."""


class NativeRecurrent:
    """`start`, `step` and `fork` of a `Recurrent`, equal up to rounding."""

    def __init__(self, head: Recurrent, kernel: Kernel) -> None:
        """Uses the head's weights as they are at every `start`."""
        self.head, self._kernel = head, kernel
        self._packing = Packing(lambda: _describe(head, kernel), ParameterWatch(head))
        self._width = 2 * head.state.out_features + head.say.out_features - head.vocab

    @staticmethod
    def fits(head: Recurrent) -> bool:
        """Whether the native step can compute this head."""
        weight = head.token.weight
        return weight.device.type == "cpu" and weight.dtype in CACHE_CODES

    def start(self, hidden: Tensor) -> NativeState:
        """From the decoder's hidden states [B, n, D], `first` where there is none."""
        packed = self._packing.current()
        source = hidden.float().contiguous()
        states = torch.empty(*hidden.shape[:2], self._width)
        fault = self._kernel.library.spear_recurrent_start(
            packed.described, source.data_ptr(), hidden.shape[0] * hidden.shape[1], states.data_ptr(),
            torch.get_num_threads(),
        )  # fmt: skip
        check_fault(fault)
        return states, None

    def step(self, state: NativeState, tokens: Tensor, cross: CrossCache) -> tuple[NativeState, Tensor]:
        """Read tokens [B, n]; returns the state behind them and the logits [B, n, V] of those that follow."""
        before, places = state
        rows, count = tokens.shape
        after, logits = torch.empty(rows, count, self._width), torch.empty(rows, count, self.head.vocab)
        storage, lengths, tokens = cross.storage, cross.lengths, tokens.contiguous()
        layer = storage[:, self.head.source]
        text = (ctypes.c_int32 * rows)(*lengths)
        order = None if places is None else (ctypes.c_int32 * count)(*places)
        reading = Reading(
            ids=tokens.data_ptr(), before=before.data_ptr(), after=after.data_ptr(), logits=logits.data_ptr(),
            keys=layer[0].data_ptr(), values=layer[1].data_ptr(), text=ctypes.addressof(text),
            places=None if order is None else ctypes.addressof(order), rows=rows, count=count,
            before_count=before.shape[1], cross_rows=storage.shape[2], cross_slots=storage.shape[4],
            cache_precision=CACHE_CODES[storage.dtype], threads=torch.get_num_threads(),
        )  # fmt: skip
        packed = self._packing.current(look=False)
        check_fault(self._kernel.library.spear_recurrent_step(packed.described, reading))
        return (after, None), logits

    @staticmethod
    def fork(state: NativeState, places: list[int]) -> NativeState:
        """The states of m places; a place may be named more than once."""
        states, before = state
        return states, places if before is None else [before[place] for place in places]


class _Packed(NamedTuple):
    weights: StepWeights
    """Hold the memory that `described` points to."""
    described: Description


def _describe(head: Recurrent, kernel: Kernel) -> _Packed:
    weights = StepWeights(kernel, "int8")

    def map_of(layer: nn.Linear) -> object:
        return weights.linear(layer.weight, layer.bias)

    width = head.say.out_features - head.vocab
    keys = width // head.head_dim
    described = Description(
        state_norm=weights.norm(head.state_norm.gain, None, head.state_norm.eps, "rms"),
        norm=weights.norm(head.norm.weight, head.norm.bias, head.norm.eps, "layer"),
        state=map_of(head.state), enter=map_of(head.enter), leave=map_of(head.leave), say=map_of(head.say),
        token=weights.table(head.token.weight), dim=head.state.out_features, heads=keys, groups=head.groups,
        head_dim=head.head_dim, inner=head.enter.out_features, vocab=head.vocab, tokens=head.token.num_embeddings,
    )  # fmt: skip
    return _Packed(weights, described)
