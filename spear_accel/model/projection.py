"""Matrix products of decoding, by whichever kernel is fastest on a processor.

torch multiplies float32 by MKL, which on other makers' processors does not use their widest registers. oneDNN, which
torch carries too, does: with weights that it has laid out beforehand ("packed"), products of 5 to 160 rows take less
than half the time (docs/decoding.md has the figures). Single rows are faster as they are. Knows weights and rows only.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["PackedWeight", "Projection"]

FEWEST_ROWS = 3


class PackedWeight:
    """A weight as oneDNN wants it, laid out anew whenever the weight has changed. Copies begin empty."""

    def __init__(self) -> None:
        self._packed: Tensor | None = None
        self._source: tuple[int, int] | None = None

    def multiply(self, x: Tensor, weight: Tensor) -> Tensor:
        """x [..., I] times weight [O, I] transposed: [..., O]."""
        if torch.is_grad_enabled() or x.numel() < FEWEST_ROWS * x.shape[-1] or not _fits(x, weight):
            return F.linear(x, weight)
        source = (weight.data_ptr(), 0 if weight.is_inference() else weight._version)
        if self._packed is None or source != self._source:
            self._packed = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), None)
            self._source = source
        return _product(x, self._packed)

    def __deepcopy__(self, memo: dict[int, Any]) -> PackedWeight:
        return PackedWeight()

    def __reduce__(self) -> tuple[type[PackedWeight], tuple[()]]:
        return PackedWeight, ()


class Projection(nn.Linear):
    """A linear map without a bias. [..., I] -> [..., O]."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, bias=False)
        self._packed = PackedWeight()

    def forward(self, x: Tensor) -> Tensor:
        return self._packed.multiply(x, self.weight)


def _fits(x: Tensor, weight: Tensor) -> bool:
    right = x.dtype == weight.dtype == torch.float32 and x.device.type == weight.device.type == "cpu"
    return right and not torch.is_autocast_enabled("cpu") and _kernel_works()


def _product(x: Tensor, packed: Tensor) -> Tensor:
    product: Tensor = torch.ops.mkldnn._linear_pointwise(x, packed, None, "none", [], "")
    return product


@cache
def _kernel_works() -> bool:
    """Whether this build of torch has the kernel, which is no public name, and it computes what it should."""
    if not torch._C._has_mkldnn:
        return False
    with torch.inference_mode():
        x, weight = torch.linspace(-1, 1, 4 * 16).view(4, 16), torch.linspace(-1, 1, 8 * 16).view(8, 16)
        try:
            found = _product(x, torch.ops.mkldnn._reorder_linear_weight(weight, None))
        except (AttributeError, RuntimeError, TypeError):
            return False
        return torch.allclose(found, F.linear(x, weight), atol=1e-5)
