"""Weights as the native step reads them: packed, padded and described by the structures of `csrc/step.h`."""

from __future__ import annotations

import ctypes
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from spear_accel.native.library import Kernel
from spear_accel.native.structures import Layer, Linear, Model, Norm

__all__ = ["Precision", "StepWeights"]

Precision = Literal["float32", "bfloat16", "int8"]
"""Of the weights of linear maps: float32; rounded to bfloat16; or int8 with a scale for each output."""
PRECISIONS: dict[Precision, int] = {"float32": 0, "bfloat16": 1, "int8": 2}
_PANEL = 16


class StepWeights:
    """Memory that a `Model` structure points to, and the structure itself once all of it is described."""

    def __init__(self, kernel: Kernel, precision: Precision) -> None:
        self.kernel, self.precision = kernel, precision
        self.model = Model()
        self._kept: list[object] = []

    def table(self, numbers: Tensor | None) -> int | None:
        """Address of numbers as float32, None for None."""
        return None if numbers is None else self._keep(numbers.detach().float().contiguous())

    def norm(self, gain: Tensor, bias: Tensor | None, eps: float, centred: bool) -> Norm:
        """RMS norm, or layer norm if centred."""
        return Norm(self.table(gain), self.table(bias), eps, int(centred))

    def linear(self, weight: Tensor, bias: Tensor | None) -> Linear:
        """weight: [outputs, inputs]; bias: [outputs]."""
        outputs, inputs = weight.shape
        code, library = PRECISIONS[self.precision], self.kernel.library
        source = weight.detach().float().contiguous()
        packed = torch.empty(library.spear_packed_bytes(outputs, inputs, code), dtype=torch.uint8)
        scale = torch.empty(outputs + -outputs % _PANEL) if self.precision == "int8" else None
        library.spear_pack(
            source.data_ptr(), outputs, inputs, code, packed.data_ptr(), None if scale is None else scale.data_ptr()
        )
        padded = None if bias is None else F.pad(bias.detach().float(), (0, -outputs % _PANEL))
        return Linear(self._keep(packed), self.table(padded), self.table(scale), inputs, outputs, code, 0)

    def stack(self, layers: list[Layer]) -> None:
        """Describe the layers of the model."""
        array = (Layer * len(layers))(*layers)
        self._kept.append(array)
        self.model.layers = ctypes.cast(array, ctypes.POINTER(Layer))
        self.model.layer_count = len(layers)

    def _keep(self, tensor: Tensor) -> int:
        self._kept.append(tensor)
        return tensor.data_ptr()
