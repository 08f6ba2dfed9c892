"""Products in eight bits: those of rounded weights and rounded activations, to the last step."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.native.decoding import native_model
from tests.native.rounding import rounded_product


@pytest.mark.parametrize(
    "shape", [{}, {"dim": 20, "head_dim": 6}, {"dim": 66, "semantic_units": 129}, {"norm": "layer"}]
)
def test_a_product_is_that_of_rounded_numbers(kernel: str, shape: dict[str, object]) -> None:
    model = native_model(kernel, "int8", tied_output=False, **shape)
    output = model.decoder.output
    assert isinstance(output, nn.Linear)
    hidden = torch.randn(3, 7, model.config.dim, generator=torch.Generator().manual_seed(1))
    hidden[1] *= 1e3
    hidden[2, 0] = 0.0
    wanted = rounded_product(output, model.decoder.final_norm(hidden))
    found = model.decoder.logits(hidden)
    # A number that lies between two steps may be rounded to either, since norms differ in their last bit.
    apart = (found - wanted).abs() / wanted.abs().amax()
    assert apart.median() < 1e-6
    assert apart.max() < 1e-2
