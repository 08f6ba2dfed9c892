"""The decoder by the native step, in place on the tensors of a `DecoderState`; by PyTorch whatever the step cannot do.

Which of the two computes depends on the model, its device and its precision alone, never on batch, block or tree: the
native step gives the same bits for a token however it is batched, and drafts are verified by the same arithmetic that
autoregressive decoding uses.
"""

from __future__ import annotations

import ctypes
import os
from functools import cached_property
from threading import Lock
from typing import Any

import torch
from torch import Tensor

from spear_accel.errors import UserError
from spear_accel.model.backend import DecoderBackend, SkipSet
from spear_accel.model.cache import DecoderState, TreeMask
from spear_accel.model.decoder import Decoder
from spear_accel.model.encoder import Encoder
from spear_accel.model.native_description import describe_decoder
from spear_accel.model.native_reader import NativeReader
from spear_accel.model.torch_backend import TorchBackend
from spear_accel.native import VARIABLE, Choice, check_fault, choose_kernel
from spear_accel.native.structures import Block
from spear_accel.native.weights import OWN_CACHE_CODES, ParameterWatch, Precision, StepWeights

__all__ = ["NativeBackend", "make_backend"]

_CACHES = {(torch.float32, torch.float32), (torch.bfloat16, torch.bfloat16), (torch.int8, torch.bfloat16)}
"""Of the tokens and of the text."""
_CACHE_OF = {"bfloat16": torch.bfloat16, "int8": torch.int8}
_PRECISION_OF: dict[torch.dtype, Precision] = {torch.float32: "float32", torch.bfloat16: "bfloat16"}


def make_backend(decoder: Decoder, precision: Precision | None = None) -> DecoderBackend:
    """What runs `decoder`: the native step wherever it can, else PyTorch.

    Args:
        decoder: Whose weights are used.
        precision: Of the linear maps in the native step; by default that of the weights.

    Raises:
        UserError: The environment variable SPEAR_ACCEL_KERNEL names a kernel that this machine does not have.
    """
    return NativeBackend(decoder, precision=precision)


class NativeBackend:
    """See `DecoderBackend` for the methods."""

    def __init__(self, decoder: Decoder, kernel: str | None = None, precision: Precision | None = None) -> None:
        """
        Args:
            decoder: Whose weights are used; they may change at any time.
            kernel: Name of a kernel or "torch"; by default the variable SPEAR_ACCEL_KERNEL or the fastest decides.
            precision: Of the weights of linear maps; by default that of the model.

        Raises:
            UserError: This machine does not have the kernel.
        """
        self.decoder, self._asked = decoder, precision
        self._kernel = kernel
        if kernel or os.environ.get(VARIABLE):
            # Whoever names a kernel hears at once if there is none of that name; by default nothing is loaded yet.
            choose_kernel(kernel)
        self._torch = TorchBackend(decoder)
        self._packing = Lock()
        self._weights: StepWeights | None = None
        self._reader: NativeReader | None = None

    @cached_property
    def choice(self) -> Choice:
        """What computes on a CPU, and why."""
        return choose_kernel(self._kernel)

    def __getstate__(self) -> dict[str, Any]:
        """Copies pack weights of their own."""
        return {"decoder": self.decoder, "kernel": self._kernel, "precision": self._asked}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    @cached_property
    def _stack_watch(self) -> ParameterWatch:
        return ParameterWatch(self.decoder)

    @cached_property
    def _output_watch(self) -> ParameterWatch:
        """Of what `logits` reads: it is also asked for hidden states that were made elsewhere."""
        decoder = self.decoder
        if decoder.output_bias is not None:
            return ParameterWatch(decoder)
        return ParameterWatch(decoder.final_norm, decoder.output or decoder.embedding)

    @property
    def native(self) -> bool:
        weight = self.decoder.embedding.weight
        return weight.device.type == "cpu" and weight.dtype in _PRECISION_OF and self.choice.kernel is not None

    @property
    def batch_invariant(self) -> bool:
        return self._computes()

    @property
    def precision(self) -> str:
        return (self._asked if self.native else None) or self._torch.precision

    @property
    def cache_dtype(self) -> torch.dtype:
        # Reading keys and values is most of what a large batch costs, so rounded weights have rounded caches.
        return _CACHE_OF.get(self.precision, self._torch.cache_dtype)

    @property
    def text_cache_dtype(self) -> torch.dtype:
        return torch.bfloat16 if self.cache_dtype == torch.int8 else self.cache_dtype

    def forward(
        self,
        block: Tensor,
        state: DecoderState,
        layers: slice,
        skip: SkipSet | None,
        tree: TreeMask | None,
        collect: list[Tensor] | None,
    ) -> Tensor:
        weights = self._packed(self._stack_watch if min(state.lengths) == 0 else None)
        if weights is None:
            return self._torch.forward(block, state, layers, skip, tree, collect)
        call = _Call(weights, block, state, layers, skip, tree, self._torch.cache_dtype)
        if collect is not None:
            collect.extend(call.collected())
        return call.run()

    def read_text(self, encoder: Encoder, embedded: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
        if not self._computes() or self.choice.kernel is None:
            return self._torch.read_text(encoder, embedded, visible)
        with self._packing:
            reader = self._reader
            if reader is None or reader.encoder is not encoder:
                reader = NativeReader(encoder, self.decoder, self.choice.kernel, self._packed_precision)
                self._reader = reader
        return reader.read(embedded, visible, self.text_cache_dtype)

    def logits(self, hidden: Tensor) -> Tensor:
        weights = self._packed(self._output_watch)
        if weights is None:
            return self._torch.logits(hidden)
        source = hidden.float().contiguous()
        logits = torch.empty(*hidden.shape[:-1], weights.model.output.outputs)
        tokens = source.numel() // source.shape[-1]
        fault = weights.kernel.library.spear_logits(
            weights.model, source.data_ptr(), tokens, logits.data_ptr(), torch.get_num_threads()
        )
        check_fault(fault)
        return logits.to(hidden.dtype)

    @property
    def _packed_precision(self) -> Precision:
        return self._asked or _PRECISION_OF[self.decoder.embedding.weight.dtype]

    def _packed(self, watch: ParameterWatch | None) -> StepWeights | None:
        """The weights as they were when `watch` was last asked; None if PyTorch must compute.

        Parameters do not change under rows that are being decoded, and to look at all of them takes as long as a layer:
        a block looks only where a row begins.
        """
        if not self._computes() or self.choice.kernel is None:
            return None
        # Nobody may see a watch that has noticed a change before the weights that it stands for.
        with self._packing:
            if self._weights is None or (watch is not None and watch.changed()):
                self._weights = describe_decoder(self.decoder, StepWeights(self.choice.kernel, self._packed_precision))
                for seen in (self._stack_watch, self._output_watch):
                    seen.changed()
            return self._weights

    def _computes(self) -> bool:
        """Whether the native step can do what is asked for now."""
        return self.native and not torch.is_grad_enabled() and not torch.is_autocast_enabled("cpu")


class _Call:
    """One block on its way through the native step."""

    def __init__(
        self,
        weights: StepWeights,
        block: Tensor,
        state: DecoderState,
        layers: slice,
        skip: SkipSet | None,
        tree: TreeMask | None,
        dtype: torch.dtype,
    ) -> None:
        placed = state.own.place(block.shape[1], tree)
        model, own, cross = weights.model, state.own.storage, state.cross.storage
        if (own.dtype, cross.dtype) not in _CACHES:
            raise UserError(f"the native step has no caches in {own.dtype}; use SPEAR_ACCEL_KERNEL=torch")
        first, last, _ = layers.indices(model.layer_count)
        rows, count = block.shape[:2]
        self.dtype, self.weights, self.state, self.skip = dtype, weights, state, skip
        self.left = torch.empty(rows, count, model.dim)
        self._kept: list[object] = []
        self.block = Block(
            left=self.left.data_ptr(), cache=own.data_ptr(), cross=cross.data_ptr(),
            lengths=self._numbers(placed.lengths), text=self._numbers(state.cross.lengths),
            rows=rows, count=count, first=first, last=max(first, last), cache_rows=own.shape[2],
            cache_slots=own.shape[4], cross_rows=cross.shape[2], cross_slots=cross.shape[4],
            cache_precision=OWN_CACHE_CODES[own.dtype], threads=torch.get_num_threads(),
        )  # fmt: skip
        if first == 0:
            self.block.ids = self._address(block.long())
            if state.added is not None:
                self.block.added = self._address(state.added.float())
        else:
            self.block.hidden = self._address(block.float())
        if tree is not None:
            self.block.depths, self.block.visible = self._address(tree.depths), self._address(tree.visible)
        if skip is not None:
            self.block.skip_attention = self._flags(skip.attention)
            self.block.skip_feed = self._flags(skip.feed_forward)

    def collected(self) -> list[Tensor]:
        """What each layer that attends will fill with its attention to the text: float32 [B, H, T, X]."""
        block, model = self.block, self.weights.model
        skipped = () if self.skip is None else self.skip.attention
        attending = sum(layer not in skipped for layer in range(block.first, block.last))
        slots = max(self.state.cross.lengths) - model.null_slots
        room = torch.empty(attending, block.rows, model.heads, block.count, slots)
        block.collected, block.collected_slots = self._address(room), slots
        return list(room.unbind(0))

    def run(self) -> Tensor:
        """Hidden states [B, T, D] that left the last layer."""
        fault = self.weights.kernel.library.spear_forward(self.weights.model, self.block)
        check_fault(fault)
        return self.left.to(self.dtype)

    def _numbers(self, values: Any) -> int:
        array = (ctypes.c_int32 * len(values))(*values)
        self._kept.append(array)
        return ctypes.addressof(array)

    def _flags(self, layers: tuple[int, ...]) -> int:
        array = (ctypes.c_uint8 * self.weights.model.layer_count)(*(0,) * self.weights.model.layer_count)
        for layer in layers:
            array[layer] = 1
        self._kept.append(array)
        return ctypes.addressof(array)

    def _address(self, tensor: Tensor) -> int:
        tensor = tensor.contiguous()
        self._kept.append(tensor)
        return tensor.data_ptr()
