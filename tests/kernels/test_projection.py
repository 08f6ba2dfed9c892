"""The packed product against the plain one: any number of rows, changed weights, copies, and where it must not act."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
import torch.nn.functional as F

from spear_accel.kernels import projection
from spear_accel.kernels.projection import DraftProjection, PackedWeight, Projection, drafting_dtype

needs_kernel = pytest.mark.skipif(
    not projection.packing_works(torch.float32), reason="this build of torch lacks oneDNN's product"
)


@pytest.fixture
def layer() -> Projection:
    torch.manual_seed(0)
    return Projection(24, 40)


@pytest.mark.parametrize("shape", [(1, 24), (2, 24), (5, 24), (3, 1, 24), (2, 7, 24), (160, 24)])
@torch.inference_mode()
def test_equals_the_plain_product(layer: Projection, shape: tuple[int, ...]) -> None:
    x = torch.randn(shape)
    torch.testing.assert_close(layer(x), F.linear(x, layer.weight), atol=1e-5, rtol=1e-5)


@torch.inference_mode()
def test_equals_the_plain_product_with_bias_and_gelu() -> None:
    layer, x = Projection(24, 40, bias=True, gelu=True), torch.randn(3, 24)
    expected = F.gelu(F.linear(x, layer.weight, layer.bias))
    torch.testing.assert_close(layer(x), expected, atol=1e-5, rtol=1e-5)
    with torch.inference_mode(False), torch.enable_grad():
        torch.testing.assert_close(layer(x.clone()), expected.clone(), atol=1e-5, rtol=1e-5)


@needs_kernel
@torch.no_grad()
def test_packed_at_first_use(layer: Projection) -> None:
    assert not layer.packed.ready
    layer(torch.randn(1, 24))
    assert layer.packed.ready


@torch.inference_mode()
def test_the_first_rows_of_a_weight(layer: Projection) -> None:
    x, packed = torch.randn(5, 24), PackedWeight()
    for _ in range(2):
        torch.testing.assert_close(packed.multiply(x, layer.weight, 7), F.linear(x, layer.weight[:7]))


@torch.no_grad()
def test_strided_rows(layer: Projection) -> None:
    x = torch.randn(4, 6, 24).transpose(0, 1)
    torch.testing.assert_close(layer(x), F.linear(x, layer.weight), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_changed_weights_are_packed_again(layer: Projection) -> None:
    x = torch.randn(6, 24)
    layer(x)
    layer.weight.mul_(2.0)
    torch.testing.assert_close(layer(x), F.linear(x, layer.weight), atol=1e-5, rtol=1e-5)
    layer.load_state_dict({"weight": torch.randn(40, 24)})
    torch.testing.assert_close(layer(x), F.linear(x, layer.weight), atol=1e-5, rtol=1e-5)
    layer.weight = torch.nn.Parameter(torch.randn(40, 24))
    torch.testing.assert_close(layer(x), F.linear(x, layer.weight), atol=1e-5, rtol=1e-5)


def test_training_steps_are_seen(layer: Projection) -> None:
    x, optimiser = torch.randn(6, 24), torch.optim.SGD(layer.parameters(), lr=0.1)
    for _ in range(3):
        with torch.no_grad():
            torch.testing.assert_close(layer(x), F.linear(x, layer.weight), atol=1e-5, rtol=1e-5)
        optimiser.zero_grad()
        layer(x).square().sum().backward()
        assert layer.weight.grad is not None
        optimiser.step()


@torch.no_grad()
def test_copies_are_independent(layer: Projection) -> None:
    x = torch.randn(6, 24)
    layer(x)
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        other.weight.add_(1.0)
        torch.testing.assert_close(other(x), F.linear(x, other.weight), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(layer(x), F.linear(x, layer.weight), atol=1e-5, rtol=1e-5)
    assert set(layer.state_dict()) == {"weight"}


@pytest.mark.parametrize("rows", [1, 6, 40])
@torch.no_grad()
def test_bfloat16(layer: Projection, rows: int) -> None:
    x, cast = torch.randn(rows, 24).bfloat16(), copy.deepcopy(layer).bfloat16()
    assert cast(x).dtype == torch.bfloat16
    torch.testing.assert_close(cast(x).float(), F.linear(x.float(), cast.weight.float()), atol=0.01, rtol=0.01)


@torch.no_grad()
def test_other_types_take_the_plain_product(layer: Projection) -> None:
    x = torch.randn(6, 24)
    cast = copy.deepcopy(layer).double()
    assert torch.equal(cast(x.double()), F.linear(x.double(), cast.weight))
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(x).dtype == torch.bfloat16


@torch.no_grad()
def test_without_the_kernel_nothing_changes(layer: Projection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projection, "packing_works", lambda dtype: False)
    x = torch.randn(6, 24)
    assert torch.equal(layer(x), F.linear(x, layer.weight))
    assert not layer.packed.ready


def test_drafts_take_bfloat16_where_it_is_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for quick, wanted in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(projection, "multiplies_bfloat16", lambda quick=quick: quick)
        monkeypatch.setattr(projection, "packing_works", lambda dtype: True)
        assert drafting_dtype("cpu", torch.float32) == wanted
        assert drafting_dtype("cpu", torch.float64) == torch.float64
        assert drafting_dtype("cuda", torch.float32) == torch.float32
        assert drafting_dtype("cuda", torch.float16) == torch.float16


needs_rounding = pytest.mark.skipif(
    not projection.rounding_works(), reason="this build of torch lacks the product with weights of eight bits"
)


@pytest.fixture
def draft() -> DraftProjection:
    torch.manual_seed(0)
    return DraftProjection(48, 37).to(torch.bfloat16)


@needs_rounding
@pytest.mark.parametrize("shape", [(1, 48), (4, 48), (1, 3, 48), (2, 2, 48)])
@torch.inference_mode()
def test_a_draft_of_few_rows_is_nearly_the_product(draft: DraftProjection, shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, dtype=torch.bfloat16)
    found, exact = draft(x), F.linear(x.float(), draft.weight.float())
    assert draft.rounded.ready and found.dtype == torch.bfloat16 and found.shape == exact.shape
    torch.testing.assert_close(found.float(), exact, atol=0.02 * float(exact.abs().max()), rtol=0.0)


@torch.inference_mode()
def test_a_draft_of_more_rows_or_in_float32_is_not_rounded(draft: DraftProjection) -> None:
    draft(torch.randn(5, 48, dtype=torch.bfloat16))
    draft.float()
    x = torch.randn(2, 48)
    torch.testing.assert_close(draft(x), F.linear(x, draft.weight), atol=1e-5, rtol=1e-5)
    assert not draft.rounded.ready


@pytest.mark.parametrize("layer", [DraftProjection(40, 16), DraftProjection(48, 16, bias=True)])
@torch.inference_mode()
def test_what_the_kernel_cannot_do_is_not_rounded(layer: DraftProjection) -> None:
    """Rows whose length is no multiple of sixteen, and biases."""
    layer = layer.to(torch.bfloat16)
    x = torch.randn(2, layer.in_features, dtype=torch.bfloat16)
    torch.testing.assert_close(layer(x), F.linear(x, layer.weight, layer.bias), atol=2e-2, rtol=2e-2)
    assert not layer.rounded.ready


@needs_rounding
@torch.no_grad()
def test_strided_and_changed_drafts(draft: DraftProjection) -> None:
    x = torch.randn(2, 96, dtype=torch.bfloat16)[:, :48]
    before = draft(x)
    draft.weight.mul_(2.0)
    torch.testing.assert_close(draft(x), 2.0 * before, atol=1e-2, rtol=1e-2)
    for twin in (copy.deepcopy(draft), pickle.loads(pickle.dumps(draft))):
        assert not twin.rounded.ready
        torch.testing.assert_close(twin(x), draft(x))


def test_a_draft_can_be_trained(draft: DraftProjection) -> None:
    draft(torch.ones(1, 48, dtype=torch.bfloat16)).sum().backward()
    assert draft.weight.grad is not None and not draft.rounded.ready
