"""Training a tokenizer around its quantiser, on sounds made up here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from spear_accel.audio.encoder import FbankEncoderConfig, SpeechEncoder
from spear_accel.audio.tokenizer import SpeechTokenizer
from spear_accel.errors import UserError
from spear_accel.storage.json_lines import write_manifest
from spear_accel.training.loop.settings import build
from spear_accel.training.quantiser_layers import CodebookLayer
from spear_accel.training.speech_quantiser import (
    NAME,
    QuantiserShape,
    QuantiserTask,
    QuantiserTraining,
    SpeechQuantiser,
    load_trained,
    train,
)
from spear_accel.training.speech_tokenizer import BLANK, SpeechCtcData, SpeechCtcSource
from spear_accel.training.speech_tokenizer import load_trained as load_recogniser
from spear_accel.training.speech_tokenizer import train as train_recogniser
from tests.extras import need_fairseq2

need_fairseq2()

TONES = {"a": 400.0, "b": 1200.0, "c": 3000.0}
MODEL: dict[str, Any] = {
    "dim": 32, "layers": 3, "heads": 2, "feed_forward_inner": 64, "convolution_kernel": 5, "dropout": 0.0,
    "mask_probability": 0.0,
}  # fmt: skip


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Sequences of tones, each tone a symbol."""
    generator = np.random.default_rng(0)
    records = []
    for number in range(16):
        symbols = generator.choice(list(TONES), size=3).tolist()
        time = np.arange(2400) / 16_000
        sound = np.concatenate([np.sin(2 * np.pi * TONES[s] * time) * np.hanning(2400) for s in symbols])
        path = tmp_path / f"{number}.wav"
        soundfile.write(path, 0.3 * sound + 0.003 * generator.standard_normal(len(sound)), 16_000)
        records.append({"id": str(number), "audio": str(path), "phonemes": symbols})
    write_manifest(tmp_path / "tones.jsonl", records)
    return tmp_path / "tones.jsonl"


KINDS: list[dict[str, Any]] = [{"levels": [4, 3]}, {"units": 12}]


def settings(
    manifest: Path, output: Path, steps: int, kind: dict[str, Any] = KINDS[0], **changes: Any
) -> dict[str, Any]:
    return {
        "output": str(output),
        "data": {"sources": [{"manifest": str(manifest)}, {"manifest": str(manifest), "per_epoch": 4}],
                 "validation": str(manifest), "batch_seconds": 4.0, "frequency_mask": 0, "noise_db": [-40, -30]},
        "model": MODEL,
        "quantiser": {**kind, "layer": 2, "cepstra": 8, "hidden": 48, "blocks": 1, "kernel": 3},
        "training": {"warp": 0.05, **changes},
        "loop": {"steps": steps, "learning_rate": 0.01, "warmup_steps": 5, "precision": "no", "save_every": steps},
    }  # fmt: skip


def shape(kind: dict[str, Any], pool: int = 1) -> QuantiserShape:
    return build(QuantiserShape, {**kind, "layer": 2, "pool": pool, "speakers": 2}, "shape")


def module(kind: dict[str, Any], pool: int = 1) -> SpeechQuantiser:
    torch.manual_seed(0)
    return SpeechQuantiser(FbankEncoderConfig(symbols=4, **MODEL), shape(kind, pool))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pool", [1, 2])
def test_shapes_and_units(kind: dict[str, Any], pool: int) -> None:
    lengths, speakers = torch.tensor([80, 40]), torch.tensor([0, 1])
    made = module(kind, pool).eval()(torch.randn(2, 80, 80), lengths, speakers)
    assert made.logits.shape == (2, 40, 4)
    assert made.lengths.tolist() == [40, 20]
    assert made.cepstra.shape == (2, 80, 20)
    assert made.units.shape == made.inside.shape == (2, 40 // pool)
    assert made.inside.sum(dim=1).tolist() == [40 // pool, 20 // pool]
    assert int(made.units.min()) >= 0
    assert int(made.units.max()) < 12


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pool", [1, 2])
def test_nothing_but_units_passes_the_quantiser(kind: dict[str, Any], pool: int) -> None:
    """The layers above hear the same from two inputs that have the same units."""
    own = module(kind, pool).eval()
    # Every frame has one unit, whatever it holds.
    if isinstance(own.quantise, CodebookLayer):
        own.quantise.centroids[1:] += 1000
    else:
        torch.nn.init.zeros_(own.quantise.project.weight)
    arguments = (torch.tensor([80]), torch.tensor([0]))
    first, second = (own(torch.randn(1, 80, 80), *arguments) for _ in range(2))
    assert torch.equal(first.units, second.units)
    torch.testing.assert_close(first.logits, second.logits, atol=1e-4, rtol=0)
    torch.testing.assert_close(first.cepstra, second.cepstra, atol=1e-4, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_learns(kind: dict[str, Any], manifest: Path) -> None:
    sources = SpeechCtcSource(str(manifest)), SpeechCtcSource(str(manifest))
    data = SpeechCtcData(sources, str(manifest))
    encoder = FbankEncoderConfig(symbols=4, **MODEL)
    task = QuantiserTask(data, encoder, shape(kind), QuantiserTraining(), (BLANK, "a", "b", "c"))
    task.modules[NAME].train()
    batch = task.collate([task.dataset()[i] for i in (0, 1, 20, 21)])
    assert batch["speakers"].tolist() == [0, 0, 1, 1]
    _, loss, _ = next(task.losses(task.modules, batch))
    loss.backward()
    silent = [name for name, p in task.modules[NAME].named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert silent == []


@pytest.mark.parametrize("kind", KINDS)
def test_learns_and_its_tokenizer_says_the_same_units(kind: dict[str, Any], manifest: Path, tmp_path: Path) -> None:
    metrics = train(settings(manifest, tmp_path / "run", 80, kind))
    assert metrics["symbol_error_rate"] < 0.5 and metrics["envelope"] < 0.7
    tokenizer, weights = load_trained(tmp_path / "run")
    tokenizer.save(tmp_path / "folder", {key: value.half() for key, value in weights.items()})
    again = SpeechTokenizer.from_folder(tmp_path / "folder")
    assert again.config.units == 12 and again.quantiser.centroids.shape == (12, 32)
    waveform = torch.from_numpy(soundfile.read(tmp_path / "3.wav", dtype="float32")[0])
    tokens, kept = tokenizer.tokenize([waveform])[0], again.tokenize([waveform])[0]
    assert len(tokens) == -(-len(waveform) // 320)
    assert len(set(tokens.tolist())) > 2
    assert float((tokens == kept).float().mean()) > 0.9  # half precision may move a frame at a border


def test_starts_from_a_tokenizer(manifest: Path, tmp_path: Path) -> None:
    train(settings(manifest, tmp_path / "first", 2))
    tokenizer, weights = load_trained(tmp_path / "first")
    tokenizer.save(tmp_path / "folder", weights)
    values = settings(manifest, tmp_path / "second", 1, init_from=str(tmp_path / "folder"))
    values["loop"]["learning_rate"] = 0.0
    train(values)
    own, below = load_trained(tmp_path / "second")
    assert isinstance(own.encoder, SpeechEncoder)
    for key, value in below.items():
        if "running" in key or "num_batches" in key:
            continue  # batch statistics follow the data at any learning rate
        torch.testing.assert_close(value, weights[key].half().float())
    values["model"] = {**MODEL, "dim": 16}
    values["output"] = str(tmp_path / "third")
    with pytest.raises(UserError, match=r"init_from: .* has an encoder of other sizes"):
        train(values)


def test_the_quantiser_needs_a_layer_above_it(manifest: Path, tmp_path: Path) -> None:
    values = settings(manifest, tmp_path / "run", 1)
    values["quantiser"]["layer"] = 3
    with pytest.raises(UserError, match="at least one of 3 layers above"):
        train(values)
    with pytest.raises(UserError, match="holds no training checkpoint"):
        load_trained(tmp_path)


def test_starts_from_a_trained_recogniser_with_other_symbols(manifest: Path, tmp_path: Path) -> None:
    values = settings(manifest, tmp_path / "first", 2)
    recogniser = {key: value for key, value in values.items() if key not in ("quantiser", "training")}
    train_recogniser(recogniser)
    second = settings(manifest, tmp_path / "second", 1, KINDS[1], init_from=str(tmp_path / "first"))
    second["loop"]["learning_rate"] = 0.0
    train(second)
    weights, kept = load_trained(tmp_path / "second")[1], load_recogniser(tmp_path / "first")[1]
    for key in (key for key in weights if key.endswith("weight")):
        torch.testing.assert_close(weights[key], kept[key])
