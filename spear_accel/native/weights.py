"""Weights as the native step reads them: packed, padded and described by the structures of `csrc/step.h`."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from threading import Lock
from typing import Generic, Literal, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spear_accel.native.library import Kernel
from spear_accel.native.structures import Layer, Linear, Model, Norm

__all__ = ["CACHE_CODES", "OWN_CACHE_CODES", "Packing", "ParameterWatch", "Precision", "StepWeights"]

Precision = Literal["float32", "bfloat16", "int8"]
"""Of linear maps: weights in float32; rounded to bfloat16; or int8 with a scale for each output, by activations in int8
with a scale for each token."""
CACHE_CODES = {torch.float32: 0, torch.bfloat16: 1}
"""Of keys and values of the text."""
OWN_CACHE_CODES = {**CACHE_CODES, torch.int8: 2}
"""Of keys and values of the tokens; beside int8 ones those of the text are in bfloat16."""
NormKind = Literal["rms", "layer", "rms-eps"]
NORMS: dict[NormKind, int] = {"rms": 0, "layer": 1, "rms-eps": 2}
ACTIVATIONS = {"gelu": 0, "gelu-tanh": 1, "relu": 2, "silu": 3}
PRECISIONS: dict[Precision, int] = {"float32": 0, "bfloat16": 1, "int8": 2}
_PANEL = 16
_Array = TypeVar("_Array")
_Packed = TypeVar("_Packed")


class StepWeights:
    """Memory that a `Model` structure points to, and the structure itself once all of it is described."""

    def __init__(self, kernel: Kernel, precision: Precision) -> None:
        self.kernel, self.precision = kernel, precision
        self.model = Model()
        self._kept: list[object] = []

    def table(self, numbers: Tensor | None) -> int | None:
        """Address of numbers as float32, None for None."""
        return None if numbers is None else self._keep(numbers.detach().float().contiguous())

    def norm(self, gain: Tensor, bias: Tensor | None, eps: float, kind: NormKind) -> Norm:
        """One of the norms of `csrc/step.h`."""
        return Norm(self.table(gain), self.table(bias), eps, NORMS[kind])

    def linear(self, weight: Tensor, bias: Tensor | None) -> Linear:
        """weight: [outputs, inputs]; bias: [outputs]."""
        outputs, inputs = weight.shape
        code, library = PRECISIONS[self.precision], self.kernel.library
        source = weight.detach().float().contiguous()
        packed = torch.empty(library.spear_packed_bytes(outputs, inputs, code), dtype=torch.uint8)
        rounded = self.precision == "int8"
        scale = torch.empty(outputs + -outputs % _PANEL) if rounded else None
        sums = torch.empty(outputs + -outputs % _PANEL, dtype=torch.int32) if rounded else None
        library.spear_pack(
            source.data_ptr(), outputs, inputs, code, packed.data_ptr(), _address(scale), _address(sums)
        )  # fmt: skip
        padded = None if bias is None else F.pad(bias.detach().float(), (0, -outputs % _PANEL))
        kept = self._keep(packed), self.table(padded), self._keep(scale), self._keep(sums)
        return Linear(*kept, inputs, outputs, code, 0)

    def stack(self, layers: list[Layer]) -> None:
        """Describe the layers of the model."""
        array = self.keep((Layer * len(layers))(*layers))
        self.model.layers = ctypes.cast(array, ctypes.POINTER(Layer))
        self.model.layer_count = len(layers)

    def keep(self, array: _Array) -> _Array:
        """Hold on to what a structure points to, for as long as the weights."""
        self._kept.append(array)
        return array

    def _keep(self, tensor: Tensor | None) -> int | None:
        self._kept.append(tensor)
        return _address(tensor)


def _address(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()


class ParameterWatch:
    """Notices when the parameters of modules have changed since they were last looked at."""

    def __init__(self, *modules: nn.Module) -> None:
        # Where modules keep their parameters: the tensors themselves may be exchanged.
        self._sources = [
            (part._parameters, name)
            for module in modules
            for part in module.modules()
            for name, own in part._parameters.items()
            if own is not None
        ]
        self._seen: list[tuple[int, int]] = []

    def changed(self) -> bool:
        """Whether anything has changed since the last call; true the first time."""
        versions = [_version(parameters[name]) for parameters, name in self._sources]
        if versions == self._seen:
            return False
        self._seen = versions
        return True


def _version(parameter: Tensor | None) -> tuple[int, int]:
    assert parameter is not None
    return parameter.data_ptr(), 0 if parameter.is_inference() else parameter._version


class Packing(Generic[_Packed]):
    """Something packed from parameters, and packed anew when they have changed; any number of threads may ask for it.

    What a caller got stays as it was for as long as the caller holds it, although another thread may pack anew.
    """

    def __init__(self, pack: Callable[[], _Packed], watch: ParameterWatch) -> None:
        """pack: makes it of the parameters as they are now. watch: of all parameters that `pack` reads."""
        self._pack, self._watch = pack, watch
        self._lock = Lock()
        self._packed: _Packed | None = None

    def current(self, look: bool = True) -> _Packed:
        """As the parameters are now; without a `look` at them as they were when somebody last looked."""
        with self._lock:
            if self._packed is None or (look and self._watch.changed()):
                self._watch.changed()
                self._packed = self._pack()
            return self._packed
