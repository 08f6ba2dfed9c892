"""The recurrent draft head by the native step against the module, in eight bits."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from spear_accel.heads import build_head
from spear_accel.heads.native_recurrent import NativeRecurrent
from spear_accel.heads.recurrent import Recurrent
from spear_accel.model import DecoderState
from spear_accel.native import choose_kernel
from tests.native.decoding import native_model, texts
from tests.native.rounding import in_eight_bits

SHAPES = ({}, {"null_kv": False, "cross_kv_heads": 1}, {"dim": 20, "head_dim": 6, "semantic_units": 37})


def made(kernel: str, **changes: object) -> tuple[Recurrent, NativeRecurrent, DecoderState, Tensor]:
    """A head with its native self, three rows of text, and tokens [3, 6] to read."""
    model = native_model(kernel, **changes)
    torch.manual_seed(7)
    head = build_head("recurrent", {"inner": 52}, model.config)
    assert isinstance(head, Recurrent)
    head.init_from_embedding(model.decoder.embedding.weight)
    choice = choose_kernel(kernel)
    assert choice.kernel is not None
    said = torch.randint(0, model.config.vocab, (3, 6), generator=torch.Generator().manual_seed(4))
    return head.eval(), NativeRecurrent(head, choice.kernel), model.start(texts(model.config, 3), 8), said


def drafts(head: Recurrent | NativeRecurrent, state: DecoderState, said: Tensor, dim: int) -> list[Tensor]:
    """Logits of a chain, a fork into four branches of it, and a step behind those."""
    hidden = torch.randn(3, 1, dim, generator=torch.Generator().manual_seed(9))
    carried: object = head.start(hidden)
    found = []
    for places, (first, end) in zip(([0], [0, 0, 0, 0], [1, 3, 0, 1]), pairwise((0, 1, 5, 6)), strict=True):
        carried = head.fork(carried, places)  # type: ignore[arg-type]
        tokens = said[:, first:end].expand(-1, len(places))
        carried, logits = head.step(carried, tokens, state.cross)  # type: ignore[arg-type]
        found.append(logits)
    return found


@pytest.mark.parametrize("changes", SHAPES, ids=str)
def test_it_drafts_as_the_module_with_rounded_maps(kernel: str, changes: dict[str, object]) -> None:
    head, native, state, said = made(kernel, **changes)
    width = head.state.in_features
    with in_eight_bits(head):
        wanted = drafts(head, state, said, width)
    for found, expected in zip(drafts(native, state, said, width), wanted, strict=True):
        apart = (found - expected).abs() / expected.abs().amax()
        assert apart.median() < 1e-2
        assert apart.max() < 0.1


def test_branches_are_drafted_as_if_alone(kernel: str, threads: int) -> None:
    head, native, state, said = made(kernel)
    hidden = torch.randn(3, 1, head.state.in_features, generator=torch.Generator().manual_seed(9))
    together, logits = native.step(native.fork(native.start(hidden), [0, 0, 0]), said[:, :3], state.cross)
    for place in range(3):
        alone, expected = native.step(native.start(hidden), said[:, place : place + 1], state.cross)
        assert torch.equal(logits[:, place : place + 1], expected)
        _, further = native.step(native.fork(together, [place]), said[:, 3:4], state.cross)
        assert torch.equal(further, native.step(alone, said[:, 3:4], state.cross)[1])


def test_weights_that_change_are_noticed(kernel: str) -> None:
    head, native, state, said = made(kernel)
    before = drafts(native, state, said, head.state.in_features)[0]
    head.say.weight[: head.vocab].mul_(2.0)
    after = drafts(native, state, said, head.state.in_features)[0]
    assert not torch.allclose(before, after, rtol=0.1)
    # Weights are rounded to steps of their largest, and steps double as they do.
    torch.testing.assert_close(after, 2 * before, atol=1e-4, rtol=1e-4)
