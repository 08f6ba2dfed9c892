"""The plain products that training uses on a CPU against torch's fused attention, values and gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from spear_accel.model.attention import mix


def sides(kv_heads: int, count: int = 6, slots: int = 6) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = ((2, 4, count, 8), (2, kv_heads, slots, 8), (2, kv_heads, slots, 8))
    q, keys, values = (torch.randn(shape, generator=generator).requires_grad_() for shape in shapes)
    return q, keys, values


def masks() -> dict[str, tuple[Tensor | None, bool]]:
    visible = torch.tensor([[True] * 6, [True, True, False, True, False, False]])
    return {
        "open": (None, False), "causal": (None, True), "padded": (visible[:, None, None], False),
        "both": (visible[:, None, None] & torch.ones(6, 6, dtype=torch.bool).tril()[None, None], False),
    }  # fmt: skip


@pytest.mark.parametrize("kind", masks())
@pytest.mark.parametrize("kv_heads", [4, 2, 1])
def test_plain_products_equal_the_fused_kernel(kind: str, kv_heads: int) -> None:
    mask, causal = masks()[kind]
    plain_sides, fused_sides = sides(kv_heads), sides(kv_heads)
    plain = mix(*plain_sides, mask, causal)
    fused = torch.nn.functional.scaled_dot_product_attention(
        *fused_sides, mask, is_causal=causal, enable_gqa=kv_heads != 4
    )
    torch.testing.assert_close(plain, fused, atol=1e-6, rtol=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(mix(*plain_sides, mask, causal), plain, atol=1e-6, rtol=1e-5)
    plain.square().sum().backward()
    fused.square().sum().backward()
    for one, other in zip(plain_sides, fused_sides, strict=True):
        torch.testing.assert_close(one.grad, other.grad, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_masks_stay_finite_in_half_precision(dtype: torch.dtype) -> None:
    q, keys, values = (side.detach().to(dtype).requires_grad_() for side in sides(4))
    mask, _ = masks()["padded"]
    mixed = mix(q, keys, values, mask, True)
    mixed.float().sum().backward()
    assert all(torch.isfinite(part).all() for part in (mixed, q.grad, keys.grad, values.grad))
