"""Matrix products, by whichever kernel is fastest on a processor.

torch multiplies float32 by MKL, which on other makers' processors does not use their widest registers. oneDNN, which
torch carries too, does: with weights that it has laid out beforehand ("packed"), the products of decoding take a third
to a half of the time (docs/decoding.md has the figures). Draft heads go further, to weights of eight bits.
Knows weights and rows only.
"""

from __future__ import annotations

from functools import cache
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = [
    "DraftProjection",
    "PackedWeight",
    "Projection",
    "RoundedWeight",
    "drafting_dtype",
    "multiplies_bfloat16",
    "packing_works",
    "rounding_works",
]

T = TypeVar("T", bound="_Prepared")
_PACKED = (torch.float32, torch.bfloat16)
_FEW_ROWS = 4
"""Above, the kernel for eight bits is the slower one."""


class _Prepared:
    """What is made of a weight to multiply by it quickly, anew whenever the weight has changed. Copies begin empty."""

    def __init__(self) -> None:
        self._source = (0, -1)

    def _is_stale(self, weight: Tensor) -> bool:
        """Asked at every product, so it looks at as little as it can."""
        source = (weight.data_ptr(), 0 if weight.is_inference() else weight._version)
        if source == self._source:
            return False
        self._source = source
        return True

    def __deepcopy__(self: T, memo: dict[int, Any]) -> T:
        return type(self)()

    def __reduce__(self: T) -> tuple[type[T], tuple[()]]:
        return type(self), ()


class PackedWeight(_Prepared):
    """A weight as oneDNN wants it."""

    def __init__(self) -> None:
        super().__init__()
        self._packed: Tensor | None = None

    @property
    def ready(self) -> bool:
        """Whether the kernel's own copy of a weight is held."""
        return self._packed is not None

    def multiply(
        self, x: Tensor, weight: Tensor, rows: int | None = None, bias: Tensor | None = None, gelu: bool = False
    ) -> Tensor:
        """x [..., I] times the first `rows` of weight [O, I] (by default all), transposed, plus bias: [..., rows].

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
        """Whether there is a packed weight, up to date."""
        if self._is_stale(weight):
            fits = weight.dtype in _PACKED and weight.device.type == "cpu" and packing_works(weight.dtype)
            own = weight.detach() if rows is None else weight.detach()[:rows]
            self._packed = torch.ops.mkldnn._reorder_linear_weight(own, None) if fits else None
        return self._packed is not None


class RoundedWeight(_Prepared):
    """A weight in eight bits, with a scale for each output."""

    def __init__(self) -> None:
        super().__init__()
        self._rounded: tuple[Tensor, Tensor] | None = None

    @property
    def ready(self) -> bool:
        """Whether the kernel's own copy of a weight is held."""
        return self._rounded is not None

    def multiply(self, x: Tensor, weight: Tensor) -> Tensor | None:
        """bfloat16 x [..., I] times weight [O, I], transposed: [..., O]. None where there is no such kernel."""
        if self._is_stale(weight):
            self._rounded = _round(weight.detach()) if weight.device.type == "cpu" and rounding_works() else None
        if self._rounded is None:
            return None
        product: Tensor = torch.ops.aten._weight_int8pack_mm.default(x.flatten(0, -2).contiguous(), *self._rounded)
        return product.view(*x.shape[:-1], -1)


class Projection(nn.Linear):
    """A linear map, by default without a bias, and GELU behind it where asked for. [..., I] -> [..., O]."""

    def __init__(self, inputs: int, outputs: int, bias: bool = False, gelu: bool = False) -> None:
        super().__init__(inputs, outputs, bias=bias)
        self.packed, self._gelu = PackedWeight(), gelu

    def forward(self, x: Tensor) -> Tensor:
        return self.packed.multiply(x, self.weight, bias=self.bias, gelu=self._gelu)


class DraftProjection(Projection):
    """A projection of a draft head. In bfloat16 its weights are rounded to eight bits where the rows are few.

    They take half as long to arrive, and verification makes up for what a draft loses.
    """

    def __init__(self, inputs: int, outputs: int, bias: bool = False, gelu: bool = False) -> None:
        super().__init__(inputs, outputs, bias, gelu)
        self.rounded = RoundedWeight()
        # The kernel reads sixteen numbers at a time and looks for no end among them.
        self._fits = not bias and not gelu and inputs % 16 == 0

    def forward(self, x: Tensor) -> Tensor:
        few = x.dtype is torch.bfloat16 and x.numel() <= _FEW_ROWS * self.in_features
        if few and self._fits and not torch.is_grad_enabled():
            product = self.rounded.multiply(x, self.weight)
            if product is not None:
                return product
        return super().forward(x)


def drafting_dtype(device: torch.device | str, dtype: torch.dtype) -> torch.dtype:
    """What draft heads of a model in `dtype` compute in: bfloat16 on a processor that multiplies it, else the same.

    Verification makes up for what a draft loses, and a step of a head takes as long as its weights take to arrive.
    """
    quick = torch.device(device).type == "cpu" and dtype is torch.float32 and multiplies_bfloat16()
    return torch.bfloat16 if quick and packing_works(torch.bfloat16) else dtype


def multiplies_bfloat16() -> bool:
    """Only with its own instructions is bfloat16 faster than float32."""
    ask = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(ask and ask())


@cache
def packing_works(dtype: torch.dtype) -> bool:
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


@cache
def rounding_works() -> bool:
    """Whether this build of torch has the kernel, which is no public name, and it computes what it should."""
    with torch.inference_mode():
        x, weight = torch.linspace(-1, 1, 3 * 32).view(3, 32), torch.linspace(-1, 1, 16 * 32).view(16, 32).sin()
        x, weight = x.to(torch.bfloat16), weight.to(torch.bfloat16)
        try:
            found = torch.ops.aten._weight_int8pack_mm.default(x, *_round(weight))
        except (AttributeError, RuntimeError, TypeError):
            return False
        return torch.allclose(found, F.linear(x, weight), atol=0.1)


def _round(weight: Tensor) -> tuple[Tensor, Tensor]:
    """weight [O, I] -> int8 [O, I] and scales [O], whose product is nearest to it."""
    scales = weight.float().abs().amax(dim=1).clamp_min(1e-12) / 127
    return (weight.float() / scales[:, None]).round().to(torch.int8), scales.to(torch.bfloat16)
