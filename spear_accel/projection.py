"""Matrix products, by whichever kernel is fastest on a processor.

torch multiplies float32 by MKL, which on other makers' processors does not use their widest registers. oneDNN, which
torch carries too, does: with weights that it has laid out beforehand ("packed"), the products of decoding take a third
to a half of the time (docs/decoding.md has the figures). Knows weights and rows only.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["PackedWeight", "Projection", "drafting_dtype"]

_PACKED = (torch.float32, torch.bfloat16)


class PackedWeight:
    """A weight as oneDNN wants it, laid out anew whenever the weight has changed. Copies begin empty."""

    def __init__(self) -> None:
        self._packed: Tensor | None = None
        self._source = (0, -1)

    def multiply(
        self, x: Tensor, weight: Tensor, rows: int | None = None, bias: Tensor | None = None, gelu: bool = False
    ) -> Tensor:
        """x [..., I] times the first `rows` of weight [O, I] (all if left out), transposed, plus bias: [..., rows].

        gelu: also apply that function, which costs nothing while the product is at hand.
        """
        plain = torch.is_grad_enabled() or x.dtype not in _PACKED or torch.is_autocast_enabled("cpu")
        if plain or not self._refreshed(weight, rows):
            product = F.linear(x, weight if rows is None else weight[:rows], bias)
            return F.gelu(product) if gelu else product
        name, variant = ("gelu", "none") if gelu else ("none", "")
        fused: Tensor = torch.ops.mkldnn._linear_pointwise.default(x, self._packed, bias, name, [], variant)
        return fused

    def _refreshed(self, weight: Tensor, rows: int | None) -> bool:
        """Whether there is a packed weight, up to date. Asked at every product, so it looks at as little as it can."""
        source = (weight.data_ptr(), 0 if weight.is_inference() else weight._version)
        if source != self._source:
            fits = weight.dtype in _PACKED and weight.device.type == "cpu" and _kernel_works(weight.dtype)
            own = weight.detach() if rows is None else weight.detach()[:rows]
            self._packed = torch.ops.mkldnn._reorder_linear_weight(own, None) if fits else None
            self._source = source
        return self._packed is not None

    def __deepcopy__(self, memo: dict[int, Any]) -> PackedWeight:
        return PackedWeight()

    def __reduce__(self) -> tuple[type[PackedWeight], tuple[()]]:
        return PackedWeight, ()


class Projection(nn.Linear):
    """A linear map, by default without a bias, and GELU behind it where asked for. [..., I] -> [..., O]."""

    def __init__(self, inputs: int, outputs: int, bias: bool = False, gelu: bool = False) -> None:
        super().__init__(inputs, outputs, bias=bias)
        self._packed, self._gelu = PackedWeight(), gelu

    def forward(self, x: Tensor) -> Tensor:
        return self._packed.multiply(x, self.weight, bias=self.bias, gelu=self._gelu)


def drafting_dtype(device: torch.device | str, dtype: torch.dtype) -> torch.dtype:
    """What draft heads of a model in `dtype` compute in: bfloat16 on a processor that multiplies it, else the same.

    Verification makes up for what a draft loses, and a step of a head takes as long as its weights take to arrive.
    """
    quick = torch.device(device).type == "cpu" and dtype is torch.float32 and _multiplies_bfloat16()
    return torch.bfloat16 if quick and _kernel_works(torch.bfloat16) else dtype


def _multiplies_bfloat16() -> bool:
    """Only with its own instructions is bfloat16 faster than float32."""
    ask = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(ask and ask())


@cache
def _kernel_works(dtype: torch.dtype) -> bool:
    """Whether this build of torch has the kernel, which is no public name, and it computes what it should."""
    if not torch._C._has_mkldnn:
        return False
    with torch.inference_mode():
        x, weight = torch.linspace(-1, 1, 4 * 16).view(4, 16), torch.linspace(-1, 1, 8 * 16).view(8, 16)
        x, weight = x.to(dtype), weight.to(dtype)
        try:
            packed = torch.ops.mkldnn._reorder_linear_weight(weight, None)
            found = torch.ops.mkldnn._linear_pointwise.default(x, packed, None, "none", [], "")
        except (AttributeError, RuntimeError, TypeError):
            return False
        return torch.allclose(found, F.linear(x, weight), atol=1e-5 if dtype is torch.float32 else 0.05)
