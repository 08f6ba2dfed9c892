"""CTC training of the speech encoder on sounds made up here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml

from spear_accel.audio.encoder import FbankEncoderConfig, SpeechEncoder
from spear_accel.errors import UserError
from spear_accel.storage.json_lines import write_manifest
from spear_accel.training.loop.trainer import load_modules
from spear_accel.training.speech_tokenizer import (
    BLANK,
    SpeechCtcData,
    SpeechCtcSource,
    SpeechCtcTask,
    read_symbols,
    train,
)
from tests.extras import need_fairseq2

need_fairseq2()

TONES = {"a": 400.0, "b": 1200.0, "c": 3000.0}


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Sequences of tones, each tone a symbol."""
    generator = np.random.default_rng(0)
    records = []
    for number in range(24):
        symbols = generator.choice(list(TONES), size=3).tolist()
        time = np.arange(2400) / 16_000
        sound = np.concatenate([np.sin(2 * np.pi * TONES[s] * time) * np.hanning(2400) for s in symbols])
        path = tmp_path / f"{number}.wav"
        soundfile.write(path, 0.3 * sound + 0.003 * generator.standard_normal(len(sound)), 16_000)
        records.append({"id": str(number), "audio": str(path), "phonemes": symbols})
    write_manifest(tmp_path / "tones.jsonl", records)
    return tmp_path / "tones.jsonl"


MODEL = {
    "dim": 32, "layers": 2, "heads": 2, "feed_forward_inner": 64, "convolution_kernel": 5, "dropout": 0.0,
    "mask_probability": 0.0,
}  # fmt: skip


def settings(manifest: Path, folder: Path, steps: int) -> Path:
    values = {
        "output": str(folder / "run"), "model": MODEL,
        "data": {"sources": [{"manifest": str(manifest)}], "validation": str(manifest), "batch_seconds": 4.0,
                 "frequency_mask": 0},
        "loop": {"steps": steps, "learning_rate": 0.01, "warmup_steps": 5, "precision": "no", "save_every": steps},
    }  # fmt: skip
    (folder / "ctc.yaml").write_text(yaml.safe_dump(values))
    return folder / "ctc.yaml"


def task_of(data: SpeechCtcData, **changes: float) -> SpeechCtcTask:
    encoder = FbankEncoderConfig(symbols=4, **{**MODEL, **changes})
    return SpeechCtcTask(data, encoder, (BLANK, "a", "b", "c"))


def test_learns_and_its_encoder_loads(manifest: Path, tmp_path: Path) -> None:
    metrics = train(settings(manifest, tmp_path, 60))
    assert metrics["symbol_error_rate"] < 0.5
    task = task_of(SpeechCtcData((SpeechCtcSource(str(manifest)),), str(manifest)))
    weights = load_modules(tmp_path / "run")["encoder"]
    encoder = SpeechEncoder.from_config(task.encoder, weights, last_layer=1)
    assert encoder([torch.randn(3200)], (1,))[0][1].shape == (10, 32)


def test_symbols_are_counted_over_manifests(manifest: Path) -> None:
    assert read_symbols([str(manifest)], least=1) == (BLANK, "a", "b", "c")
    assert read_symbols([str(manifest)], least=10_000) == (BLANK,)


def test_epochs_draw_from_large_sources(manifest: Path) -> None:
    sources = SpeechCtcSource(str(manifest)), SpeechCtcSource(str(manifest), per_epoch=5)
    task = task_of(SpeechCtcData(sources, str(manifest)))
    first, second = task.epoch(0, 0), task.epoch(1, 0)
    assert sum(map(len, first)) == sum(map(len, second)) == 29
    assert first == task.epoch(0, 0) != second


def test_every_parameter_learns(manifest: Path) -> None:
    task = task_of(SpeechCtcData((SpeechCtcSource(str(manifest)),), str(manifest)), mask_probability=0.5)
    module = task.modules["encoder"].train()
    torch.manual_seed(0)
    batch = task.collate([task.dataset()[i] for i in range(8)])
    _, loss, _ = next(task.losses(task.modules, batch))
    loss.backward()
    silent = [name for name, p in module.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert silent == []


def test_faults_are_told(manifest: Path, tmp_path: Path) -> None:
    path = settings(manifest, tmp_path, 1)
    values = yaml.safe_load(path.read_text())
    values["data"]["sources"] = []
    path.write_text(yaml.safe_dump(values))
    with pytest.raises(UserError, match=r"ctc\.yaml, data: sources is empty"):
        train(path)
    values["data"] = {"sources": [{"manifest": str(tmp_path / "none.jsonl")}], "validation": str(manifest)}
    path.write_text(yaml.safe_dump(values))
    with pytest.raises(UserError, match=r"none\.jsonl: no such file"):
        train(path)
