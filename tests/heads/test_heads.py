"""Draft heads: what they learn teacher forced is what they do step by step; every weight takes part; bad shapes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from spear_accel.errors import UserError
from spear_accel.heads import (
    EarlyExit,
    Prophet,
    ProphetLinear,
    Recurrent,
    Trunk,
    build_head,
    head_config,
    head_kinds,
    trunk_pass,
)
from spear_accel.model import TextToSemantic, TextToSemanticConfig

CONFIG = TextToSemanticConfig(
    text_vocab_size=30, semantic_units=20, dim=32, heads=4, kv_heads=2, head_dim=8, encoder_layers=1,
    decoder_layers=3, ff_inner=48, embedding_scale=6.0, dropout=0.0,
)  # fmt: skip
TEXT_LENGTHS = (7, 3, 5)
SPOKEN = 9
KINDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("early-exit", {"exit_layer": 1, "blocks": 1, "ff_inner": 24}),
    ("early-exit", {"exit_layer": 2, "blocks": 2, "ff_inner": 24, "memory_layer": 0}),
    ("early-exit", {"exit_layer": 2, "blocks": 0}),
    ("prophet", {"horizon": 4, "starts": 1, "ff_inner": 24}),
    ("prophet", {"horizon": 3, "starts": 3, "layers": 2, "ff_inner": 24, "memory_layer": 1}),
    ("prophet-linear", {"horizon": 3}),
    ("medusa", {"horizon": 3}),
    ("medusa", {"horizon": 2, "reads_token": False}),
    ("recurrent", {"horizon": 4, "inner": 24}),
    ("recurrent", {"horizon": 3, "inner": 24, "memory_layer": 1}),
)


@pytest.fixture(scope="module", params=[True, False], ids=["null", "no null"])
def model(request: pytest.FixtureRequest) -> TextToSemantic:
    torch.manual_seed(2)
    return TextToSemantic(replace(CONFIG, null_kv=request.param)).eval()


@pytest.fixture(scope="module")
def text() -> Tensor:
    """int64 [3, 7], rows of different lengths."""
    torch.manual_seed(3)
    ids = torch.randint(0, 30, (3, max(TEXT_LENGTHS)))
    return ids.masked_fill(torch.arange(7) >= torch.tensor(TEXT_LENGTHS)[:, None], CONFIG.text_pad_id)


@pytest.fixture(scope="module")
def semantic() -> Tensor:
    torch.manual_seed(4)
    return torch.randint(0, 20, (3, SPOKEN))


def make(kind: str, shape: dict[str, Any]) -> Any:
    torch.manual_seed(5)
    head = build_head(kind, shape, CONFIG).eval()
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return head


@pytest.mark.parametrize("shape", [shape for kind, shape in KINDS if kind == "early-exit"])
@torch.no_grad()
def test_early_exit_steps_as_it_was_taught(
    model: TextToSemantic, text: Tensor, semantic: Tensor, shape: dict[str, Any]
) -> None:
    """Blocks of 3, of which each row keeps another number, until every row has read all its inputs."""
    head: EarlyExit = make("early-exit", shape)
    trunk = trunk_pass(model, text, semantic)
    taught = head.forward_teacher_forced(trunk, torch.arange(SPOKEN + 1))[:, :, 0]
    capacity = SPOKEN + 8
    state, cache = model.start(text, capacity), head.new_cache(len(text), capacity)
    cache.admit(len(text))
    seen = [0, 0, 0]
    while min(seen) <= SPOKEN:
        block = torch.stack([trunk.inputs[b, [min(n + i, SPOKEN) for i in range(3)]] for b, n in enumerate(seen)])
        hidden = model.decoder.forward(block, state, slice(0, head.config.exit_layer))
        said = head.logits(head.step(hidden, cache, state.cross))
        kept = [min(1 + (b + len(seen)) % 3, SPOKEN + 1 - n) for b, n in enumerate(seen)]
        for row, count in enumerate(kept):
            torch.testing.assert_close(
                said[row, :count], taught[row, seen[row] : seen[row] + count], atol=1e-5, rtol=1e-5
            )
        state.keep(kept)
        cache.keep(kept)
        seen = [n + count for n, count in zip(seen, kept, strict=True)]
    assert seen == [SPOKEN + 1] * 3


@pytest.mark.parametrize("shape", [shape for kind, shape in KINDS if kind == "prophet"])
@torch.no_grad()
def test_prophet_steps_as_it_was_taught(
    model: TextToSemantic, text: Tensor, semantic: Tensor, shape: dict[str, Any]
) -> None:
    """From every position, the first included, where `first` stands for the hidden states that are missing."""
    head: Prophet = make("prophet", shape)
    trunk = trunk_pass(model, text, semantic)
    taught = head.forward_teacher_forced(trunk, torch.arange(SPOKEN + 1))
    state = model.start(text, SPOKEN + 2)
    for position in range(SPOKEN + 1):
        for depth, said in enumerate(run_prophet(head, trunk, position, state)):
            torch.testing.assert_close(said, taught[:, position, depth], atol=1e-5, rtol=1e-5)


def run_prophet(head: Prophet, trunk: Trunk, position: int, state: Any) -> list[Tensor]:
    """A round of drafts that are the trunk's own inputs: logits [B, V] of each step."""
    starts = head.config.starts
    before = torch.cat((head.first.expand(3, starts, -1), trunk.final[:, :position]), dim=1)[:, -starts:]
    prefix, carried = head.start(before)
    cache = head.new_cache(3, head.horizon)
    cache.admit(3)
    said = []
    for depth in range(head.horizon):
        token = trunk.inputs[:, min(position + depth, SPOKEN)][:, None]
        x = head.read(token, carried)
        x = torch.cat((prefix, x), dim=1) if depth == 0 else x
        said.append(head.logits(head.step(x, cache, state.cross)[:, -1]))
        cache.keep([x.shape[1]] * 3)
    return said


@pytest.mark.parametrize("shape", [shape for kind, shape in KINDS if kind == "recurrent"])
@torch.no_grad()
def test_recurrent_steps_as_it_was_taught(
    model: TextToSemantic, text: Tensor, semantic: Tensor, shape: dict[str, Any]
) -> None:
    """From every position, the first included, where `first` stands for the hidden state that is missing."""
    head: Recurrent = make("recurrent", shape)
    trunk = trunk_pass(model, text, semantic)
    taught = head.forward_teacher_forced(trunk, torch.arange(SPOKEN + 1))
    cross = model.start(text, SPOKEN + 2).cross
    before = torch.cat((head.first.expand(3, 1, -1), trunk.final), dim=1)
    for position in range(SPOKEN + 1):
        cell = head.start(before[:, position, None])
        for depth in range(head.horizon):
            cell, said = head.step(cell, trunk.inputs[:, min(position + depth, SPOKEN)][:, None], cross)
            torch.testing.assert_close(said[:, 0], taught[:, position, depth], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_linear_prophet_says_as_it_was_taught(model: TextToSemantic, text: Tensor, semantic: Tensor) -> None:
    head: ProphetLinear = make("prophet-linear", {"horizon": 3})
    trunk = trunk_pass(model, text, semantic)
    taught = head.forward_teacher_forced(trunk, torch.tensor([0, 4, SPOKEN]))
    assert taught.shape == (3, 3, 3, CONFIG.vocab)
    torch.testing.assert_close(head(head.first.expand(3, -1), trunk.inputs[:, 0]), taught[:, 0])
    torch.testing.assert_close(head(trunk.final[:, 3], trunk.inputs[:, 4]), taught[:, 1])
    torch.testing.assert_close(head(trunk.final[:, SPOKEN - 1], trunk.inputs[:, SPOKEN]), taught[:, 2])


@pytest.mark.parametrize(("kind", "shape"), KINDS)
def test_a_position_sees_nothing_that_follows_it(
    model: TextToSemantic, text: Tensor, semantic: Tensor, kind: str, shape: dict[str, Any]
) -> None:
    """Entry (p, j) reads inputs up to p + j; another token behind them, which is input 7, changes nothing."""
    head = make(kind, shape)
    other = semantic.clone()
    other[:, 6] = (other[:, 6] + 1) % 20
    positions = torch.arange(SPOKEN + 1)
    with torch.no_grad():
        first, second = (head.forward_teacher_forced(trunk_pass(model, text, s), positions) for s in (semantic, other))
    read = positions[:, None] + (
        torch.arange(head.horizon) if kind in ("prophet", "recurrent") else torch.zeros(head.horizon)
    )
    same = read < 7
    torch.testing.assert_close(first[:, same], second[:, same])
    changed = 7 if shape.get("reads_token", True) else 8
    assert not torch.allclose(first[:, changed], second[:, changed])


@pytest.mark.parametrize(("kind", "shape"), KINDS)
def test_every_parameter_gets_a_gradient(
    model: TextToSemantic, text: Tensor, semantic: Tensor, kind: str, shape: dict[str, Any]
) -> None:
    head = make(kind, shape)
    with torch.no_grad():
        trunk = trunk_pass(model, text, semantic)
    logits = head.forward_teacher_forced(trunk, torch.arange(SPOKEN + 1))
    logits.log_softmax(-1)[..., 0].sum().backward()
    for name, parameter in head.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
        # `first` goes through a norm: at zero its gradient would be a million times too large.
        assert parameter.grad.abs().max() < 1e4, name
    assert model.decoder.embedding.weight.grad is None


def test_trunk_pass_is_the_model(model: TextToSemantic, text: Tensor, semantic: Tensor) -> None:
    ragged = semantic.clone()
    ragged[1, 5:] = CONFIG.semantic_pad_id
    trunk = trunk_pass(model, text, ragged)
    assert trunk.inputs[1, :6].tolist() == [CONFIG.start_id, *semantic[1, :5].tolist()]
    assert len(trunk.hidden) == CONFIG.decoder_layers + 1
    torch.testing.assert_close(trunk.logits, model(text, ragged))
    assert trunk.logits.requires_grad
    assert not any(t.requires_grad for t in (trunk.detached().logits, trunk.detached().final))


@pytest.mark.parametrize(("kind", "shape"), KINDS)
def test_a_head_is_built_again_from_its_config(kind: str, shape: dict[str, Any]) -> None:
    head = build_head(kind, shape, CONFIG)
    values = head_config(head)
    assert values.pop("kind") == kind
    again = build_head(kind, values, CONFIG)
    again.load_state_dict(head.state_dict())
    assert head_config(again) == head_config(head)


def test_heads_start_from_the_target(model: TextToSemantic) -> None:
    weight = model.decoder.embedding.weight.detach()
    for kind, shape in KINDS:
        head = make(kind, shape)
        head.init_from_embedding(weight)
        said = {"medusa": "projections", "recurrent": "say"}.get(kind, "projection")
        for projection in head.projections if kind == "medusa" else [getattr(head, said)]:
            assert torch.equal(projection.weight[: CONFIG.vocab], weight[: CONFIG.vocab])
        if kind not in ("early-exit", "recurrent") and shape.get("reads_token", True):
            assert torch.equal(head.embedding.weight, weight)


@pytest.mark.parametrize(
    ("kind", "shape", "message"),
    [
        (
            "oracle",
            {},
            "kind 'oracle' is unknown; choose one of recurrent, prophet, early-exit, medusa, prophet-linear",
        ),
        ("early-exit", {"exit_layer": 3}, "exit_layer 3: choose 1 to 2"),
        ("early-exit", {"exit_layer": 0}, "exit_layer 0"),
        ("early-exit", {}, "exit_layer"),
        ("early-exit", {"exit_layer": 1, "memory_layer": 3}, "memory_layer 3: choose 0 to 2"),
        ("prophet", {"memory_layer": -4}, "memory_layer -4"),
        ("prophet", {"starts": 0}, "1 or more"),
        ("prophet", {"width": 3}, "unknown field.* width"),
        ("prophet-linear", {"horizon": 0}, "horizon must be 1 or more"),
        ("recurrent", {"memory_layer": 3}, "memory_layer 3: the decoder has 3 layers"),
        ("recurrent", {"inner": 0}, "horizon and inner must be 1 or more"),
    ],
)
def test_wrong_shapes_are_refused(kind: str, shape: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        build_head(kind, shape, CONFIG)


def test_only_heads_have_a_head_config() -> None:
    assert set(head_kinds()) == {kind for kind, _ in KINDS}
    with pytest.raises(TypeError, match="Linear is no draft head"):
        head_config(nn.Linear(2, 2))
