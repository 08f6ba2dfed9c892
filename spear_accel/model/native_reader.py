"""Texts through the encoder by the native step, and on to the keys and values that the decoder's layers read.

Each text is encoded alone, so not a bit of what is read depends on the texts beside it.
"""

from __future__ import annotations

import ctypes
from typing import NamedTuple

import torch
from torch import Tensor

from spear_accel.model.decoder import Decoder
from spear_accel.model.encoder import Encoder
from spear_accel.model.native_description import describe_encoder, describe_linear
from spear_accel.native import Kernel, check_fault
from spear_accel.native.structures import Linear, Text
from spear_accel.native.weights import CACHE_CODES, Packing, ParameterWatch, Precision, StepWeights

__all__ = ["NativeReader"]


class _Packed(NamedTuple):
    weights: StepWeights
    """Hold the memory that `text` points to."""
    text: Text
    """All that texts have in common."""


class NativeReader:
    """Packed weights of an encoder and of the projections behind it."""

    def __init__(self, encoder: Encoder, decoder: Decoder, kernel: Kernel, precision: Precision) -> None:
        """Uses the weights as they are at every `read`."""
        self.encoder, self._decoder, self._kernel, self._precision = encoder, decoder, kernel, precision
        watch = ParameterWatch(encoder, *(layer.cross for layer in decoder.stack))
        self._packing = Packing(self._describe, watch)

    def read(self, embedded: Tensor, visible: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """See `DecoderBackend.read_text`. dtype: of the keys and values."""
        packed = self._packing.current()
        embedded = self.encoder.add_positions(embedded)
        lengths = visible.sum(dim=1).tolist()
        rows = zip(embedded.float(), lengths, strict=True)
        texts = [self._read_one(packed, row, length, dtype) for row, length in rows]
        together = texts[0]
        if len(texts) > 1:
            widest = max(texts, key=lambda one: one.shape[4])
            together = widest.new_zeros(widest.shape).repeat(1, 1, len(texts), 1, 1, 1)
            for row, one in enumerate(texts):
                together[:, :, row : row + 1, :, : one.shape[4]] = one
        keys, values = together.unbind(0)
        return keys, values

    def _read_one(self, packed: _Packed, embedded: Tensor, length: int, dtype: torch.dtype) -> Tensor:
        """Keys and values [2, L, 1, G, null + X, C] of the first X = `length` of embedded [X', D]."""
        config, groups = self._decoder.config, packed.text.cross_kv_heads
        slots = length + int(config.null_kv)
        made = torch.empty(2, config.decoder_layers, 1, groups, slots, config.head_dim, dtype=dtype)
        source, text = embedded.contiguous(), Text.from_buffer_copy(packed.text)
        text.embedded, text.cross, text.count = source.data_ptr(), made.data_ptr(), length
        text.precision, text.threads = CACHE_CODES[dtype], torch.get_num_threads()
        check_fault(self._kernel.library.spear_encode(packed.weights.model, text))
        return made

    def _describe(self) -> _Packed:
        weights, crosses = StepWeights(self._kernel, self._precision), [layer.cross for layer in self._decoder.stack]
        config = self._decoder.config
        describe_encoder(self.encoder, weights)
        text = Text(
            causal=int(config.causal_encoder), layers=len(crosses),
            cross_kv_heads=config.cross_kv_heads or config.kv_heads,
        )  # fmt: skip
        projections = (Linear * len(crosses))(*(describe_linear(cross.kv, weights) for cross in crosses))
        text.projections = ctypes.cast(weights.keep(projections), ctypes.POINTER(Linear))
        if config.null_kv:
            text.null = weights.table(torch.stack([cross.null for cross in crosses if isinstance(cross.null, Tensor)]))
        return _Packed(weights, text)
