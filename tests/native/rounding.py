"""What the native step computes in eight bits, by PyTorch in plain view."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def rounded_product(linear: nn.Linear, x: Tensor) -> Tensor:
    """`linear` of x [..., D]: weights rounded to 127 steps of each output's largest, x to 127 of each token's."""
    steps = linear.weight.abs().amax(dim=1, keepdim=True) / 127
    weights = (linear.weight / steps).round()
    sizes = x.abs().amax(dim=-1, keepdim=True) / 127
    whole = (x * torch.where(sizes > 0, 1 / sizes, 0.0)).round()
    product = (whole.double() @ weights.double().t()).float() * sizes * steps[:, 0]
    return product if linear.bias is None else product + linear.bias


@contextmanager
def in_eight_bits(module: nn.Module) -> Iterator[None]:
    """All linear maps of `module` compute `rounded_product` meanwhile."""

    def replace(linear: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        assert isinstance(linear, nn.Linear)
        return rounded_product(linear, inputs[0])

    hooks = [part.register_forward_hook(replace) for part in module.modules() if isinstance(part, nn.Linear)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
