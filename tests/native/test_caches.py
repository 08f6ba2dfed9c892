"""What the native step keeps of keys and values, in each precision."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from spear_accel.errors import UserError
from spear_accel.model import DecoderState
from spear_accel.model.cache import SCALE_BYTES
from spear_accel.model.torch_backend import TorchBackend
from tests.native.decoding import native_model, texts, tokens
from tests.native.rounding import in_eight_bits


def kept(state: DecoderState, count: int) -> tuple[Tensor, Tensor]:
    """Of the first layer's slots in eight bits: what they stand for [2, B, G, count, C], and their scales."""
    slots = state.own.storage[:, 0, : state.rows, :, :count].contiguous()
    scales = slots[..., -SCALE_BYTES:].contiguous().view(torch.float32)
    return slots[..., :-SCALE_BYTES].float() * scales, scales


@pytest.mark.parametrize("shape", [{}, {"dim": 20, "head_dim": 6}])
def test_a_slot_in_eight_bits_holds_its_keys_and_values_to_half_a_step(kernel: str, shape: dict[str, object]) -> None:
    model = native_model(kernel, "int8", **shape)
    said, state = tokens(model.config, 3, 5), model.start(texts(model.config, 3), 8)
    model.decoder.forward(said, state, layers=slice(0, 1))
    found, scales = kept(state, 5)
    reference = native_model("torch", **shape)
    wanted = reference.start(texts(model.config, 3), 8)
    with in_eight_bits(reference.decoder):
        reference.decoder.forward(said, wanted, layers=slice(0, 1))
    apart = (found - wanted.own.storage[:, 0, :3, :, :5]).abs()
    # Products of rounded numbers may lie a step of theirs apart, because norms differ in their last bit.
    assert (apart <= 0.5 * scales + 1e-2 * wanted.own.storage.abs().amax()).all()
    assert apart.mean() < 0.3 * scales.mean()


def test_slots_that_hold_nothing_but_zeros_stay_finite(kernel: str) -> None:
    model = native_model(kernel, "int8")
    with torch.no_grad():
        model.decoder.stack[0].attention.qkv.weight.zero_()
    state = model.start(texts(model.config, 3), 8)
    assert model.decoder.forward(tokens(model.config, 3, 5), state).isfinite().all()


def test_pytorch_refuses_a_cache_in_eight_bits(kernel: str) -> None:
    model = native_model(kernel, "int8")
    state = model.start(texts(model.config, 3), 8)
    with pytest.raises(UserError, match="int8"):
        TorchBackend(model.decoder).forward(tokens(model.config, 3, 2), state, slice(None), None, None, None)


def test_memory_of_a_slot(kernel: str) -> None:
    for precision, size in (("float32", 4.0), ("bfloat16", 2.0), ("int8", 1 + SCALE_BYTES / 16)):
        model = native_model(kernel, precision, head_dim=16)  # type: ignore[arg-type]
        state = model.start(texts(model.config, 3), 8)
        own, heads = state.own.storage, model.config.decoder_layers * 3 * model.config.kv_heads
        assert own.nbytes == 2 * heads * 8 * 16 * size
