"""Imported spear-tts-pytorch checkpoints against what that package itself computed, and back to its files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from spear_accel.decoding import DecodeOptions, Engine
from spear_accel.heads import trunk_pass
from spear_accel.importers import spear_tts_pytorch
from spear_accel.importers.spear_tts_pytorch_export import export
from spear_accel.model import TextToSemantic
from tests.parity.conftest import checkpoints

TOLERANCE = 5e-4
FILES = checkpoints("spear_tts_pytorch", ".pt")
Arrays = Callable[[Path], dict[str, Tensor]]


def with_eos(model: TextToSemantic, source: Tensor) -> Tensor:
    """Text ids [B, X + 1], EOS behind each row's last."""
    config = model.config
    text = torch.nn.functional.pad(source, (0, 1), value=config.text_pad_id)
    return text.scatter(1, (source != config.text_pad_id).sum(dim=1, keepdim=True), config.text_eos_id or 0)


def exit_layer(checkpoint: Path) -> int | None:
    layer = json.loads(checkpoint.with_suffix(".json").read_text())["constructor"].get("target_early_exit_layer")
    return None if layer is None else int(layer)


@pytest.mark.parametrize("checkpoint", FILES)
@torch.inference_mode()
def test_logits(checkpoint: Path, arrays: Arrays) -> None:
    golden, model = arrays(checkpoint), spear_tts_pytorch.load(checkpoint)
    text, valid = with_eos(model, golden["source"]), golden["target_mask"]
    found = model(text, golden["target"])
    assert torch.allclose(found[valid], golden["logits"][valid], rtol=0.0, atol=TOLERANCE)
    read = text != model.config.text_pad_id
    assert torch.allclose(model.encode(text).hidden[read], golden["encoder_out"][read], rtol=0.0, atol=TOLERANCE)
    if "null_logits" in golden:
        blind = model(text, golden["target"], torch.ones(len(text), dtype=torch.bool))
        assert torch.allclose(blind[valid], golden["null_logits"][valid], rtol=0.0, atol=TOLERANCE)


@pytest.mark.parametrize("checkpoint", FILES)
@torch.inference_mode()
def test_early_exit_logits(checkpoint: Path, arrays: Arrays) -> None:
    golden, layer = arrays(checkpoint), exit_layer(checkpoint)
    if layer is None:
        assert spear_tts_pytorch.load_early_exit(checkpoint, 1) is None
        return
    model, head = spear_tts_pytorch.load(checkpoint), spear_tts_pytorch.load_early_exit(checkpoint, layer)
    assert head is not None
    trunk = trunk_pass(model, with_eos(model, golden["source"]), golden["target"])
    found, valid = (
        head.forward_teacher_forced(trunk, torch.arange(trunk.inputs.shape[1]))[:, :, 0],
        golden["target_mask"],
    )
    assert torch.allclose(found[valid], golden["early_exit_logits"][valid], rtol=0.0, atol=TOLERANCE)


@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize(("prefix", "cond_scale"), [("greedy", 1.0), ("cfg_greedy", 2.0)])
@pytest.mark.parametrize("checkpoint", FILES)
def test_greedy_tokens(checkpoint: Path, arrays: Arrays, prefix: str, cond_scale: float, batch_size: int) -> None:
    golden, model = arrays(checkpoint), spear_tts_pytorch.load(checkpoint)
    if f"{prefix}_tokens_alone" not in golden:
        pytest.skip("this checkpoint was not decoded with guidance")
    options = DecodeOptions(temperature=0.0, max_tokens=40, batch_size=batch_size, cond_scale=cond_scale)
    found = Engine(model, options).decode([[int(token) for token in row if token] for row in golden["source"]]).tokens
    for row, tokens, length in zip(found, golden[f"{prefix}_tokens_alone"], golden[f"{prefix}_len"], strict=True):
        said = [token for token in tokens[: int(length)].tolist() if token != model.config.eos_id]
        assert row.tolist() == said


@pytest.mark.parametrize("checkpoint", FILES)
def test_export_gives_the_same_file_bit_for_bit(checkpoint: Path) -> None:
    layer = exit_layer(checkpoint)
    head = None if layer is None else spear_tts_pytorch.load_early_exit(checkpoint, layer)
    found = export(spear_tts_pytorch.load(checkpoint), head)
    original = torch.load(checkpoint, weights_only=True)["model"]
    assert set(found) == set(original)
    for name, tensor in original.items():
        assert found[name].dtype == tensor.dtype and torch.equal(found[name], tensor), name
