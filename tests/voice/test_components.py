"""Draft heads in a voice folder: written, sealed, read back; faults named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from spear_accel.errors import UserError
from spear_accel.heads import build_head, head_config
from spear_accel.model import TextToSemanticConfig
from spear_accel.storage.weights import load_module, save_module
from spear_accel.voice import components
from spear_accel.voice.folder import VoiceFolder, open_voice, seal

SHAPES = {
    "early-exit": {"exit_layer": 1, "ff_inner": 24},
    "prophet": {"horizon": 3, "starts": 2, "ff_inner": 24},
    "prophet-linear": {"horizon": 2},
}


@pytest.fixture
def target(tiny_voice: Path) -> TextToSemanticConfig:
    return components.load_text_to_semantic(open_voice(tiny_voice)).config


def with_heads(voice: Path, target: TextToSemanticConfig) -> dict[str, nn.Module]:
    torch.manual_seed(0)
    heads = {kind: build_head(kind, shape, target) for kind, shape in SHAPES.items()}
    for head in heads.values():
        components.save_head(voice, head)
    reseal(voice)
    return heads


def reseal(voice: Path) -> VoiceFolder:
    return seal(voice, open_voice(voice).card)


def test_a_voice_without_heads_has_none(tiny_voice: Path, target: TextToSemanticConfig) -> None:
    assert components.load_heads(open_voice(tiny_voice), target) == {}


def test_heads_come_back(tiny_voice: Path, target: TextToSemanticConfig) -> None:
    heads = with_heads(tiny_voice, target)
    loaded = components.load_heads(open_voice(tiny_voice), target)
    assert list(loaded) == sorted(SHAPES)
    for kind, head in heads.items():
        assert head_config(loaded[kind]) == head_config(head)
        assert not loaded[kind].training
        for name, value in head.state_dict().items():
            read = loaded[kind].state_dict()[name]
            assert read.dtype == torch.float32
            torch.testing.assert_close(read, value, atol=1e-6, rtol=1e-3)  # float16 on disk


def test_a_head_takes_the_place_of_its_kind(tiny_voice: Path, target: TextToSemanticConfig) -> None:
    with_heads(tiny_voice, target)
    components.save_head(tiny_voice, build_head("prophet-linear", {"horizon": 5}, target))
    loaded = components.load_heads(reseal(tiny_voice), target)
    assert head_config(loaded["prophet-linear"])["horizon"] == 5


def test_damage_and_loss_are_named(tiny_voice: Path, target: TextToSemanticConfig) -> None:
    with_heads(tiny_voice, target)
    weights = tiny_voice / "draft_heads/prophet/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"draft_heads/prophet/model\.safetensors: damaged"):
        components.load_heads(open_voice(tiny_voice), target)
    weights.unlink()
    with pytest.raises(UserError, match=r"draft_heads/prophet/model\.safetensors: cannot read"):
        components.load_heads(open_voice(tiny_voice), target)
    with pytest.raises(UserError, match=r"draft_heads/prophet/model\.safetensors: cannot read"):
        components.load_heads(reseal(tiny_voice), target)


def test_weights_of_another_shape_are_named(tiny_voice: Path, target: TextToSemanticConfig) -> None:
    with_heads(tiny_voice, target)
    folder = tiny_voice / "draft_heads/prophet-linear"
    save_module(build_head("prophet-linear", {"horizon": 4}, target), {"kind": "prophet-linear", "horizon": 3}, folder)
    with pytest.raises(UserError, match=r"prophet-linear/model\.safetensors: .* state\.weight is "):
        components.load_heads(reseal(tiny_voice), target)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "prophet", "horizon": 2}, "says kind 'prophet', but the folder"),
        ({"horizon": 2}, "says kind None"),
        ({"kind": "prophet-linear", "streams": 2}, r"config\.json: unknown field\(s\) streams"),
        ({"kind": "prophet-linear", "horizon": 0}, "horizon must be 1 or more"),
    ],
)
def test_wrong_configs_are_refused(
    tiny_voice: Path, target: TextToSemanticConfig, values: dict[str, object], message: str
) -> None:
    with_heads(tiny_voice, target)
    (tiny_voice / "draft_heads/prophet-linear/config.json").write_text(json.dumps(values))
    with pytest.raises(UserError, match=message):
        components.load_heads(reseal(tiny_voice), target)


def test_an_unknown_kind_is_refused(tiny_voice: Path, target: TextToSemanticConfig) -> None:
    save_module(nn.Linear(2, 2), {"kind": "oracle"}, tiny_voice / "draft_heads/oracle")
    with pytest.raises(UserError, match=r"oracle/config\.json: kind 'oracle' is unknown"):
        components.load_heads(reseal(tiny_voice), target)


def test_heads_are_float32_modules_that_a_module_loader_fills(tmp_path: Path, target: TextToSemanticConfig) -> None:
    head = build_head("early-exit", SHAPES["early-exit"], target)
    components.save_head(tmp_path, head)
    again = build_head("early-exit", SHAPES["early-exit"], target)
    load_module(again, tmp_path / "draft_heads/early-exit")
    assert all(value.dtype == torch.float32 for value in again.state_dict().values())
