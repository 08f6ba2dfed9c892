"""Text-to-semantic training: denoising, supervised batches, gradients, starting from an earlier run."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from spear_accel.errors import UserError
from spear_accel.model import TextToSemantic, TextToSemanticConfig
from spear_accel.training.loop.losses import IGNORED, sequence_loss, top1_hits
from spear_accel.training.loop.settings import build
from spear_accel.training.text_to_semantic.examples import corrupt
from spear_accel.training.text_to_semantic.train import (
    TextToSemanticTask,
    TextToSemanticTraining,
    TokenSource,
    load_trained,
    train,
)

SHAPE: dict[str, Any] = {
    "text_vocab_size": 12, "semantic_units": 20, "dim": 32, "heads": 2, "kv_heads": 2, "head_dim": 16,
    "encoder_layers": 1, "decoder_layers": 2, "ff_inner": 48, "embedding_scale": 6.0, "text_eos_id": 2,
}  # fmt: skip


def write_manifest(path: Path, count: int, seed: int) -> Path:
    """Each text id is spoken as two units of its own."""
    generator = random.Random(seed)
    texts = [[generator.randint(3, 11) for _ in range(generator.randint(2, 6))] for _ in range(count)]
    lines = [
        {"id": f"{seed}-{n}", "text_ids": text, "tokens": [unit for t in text for unit in (2 * t - 4, 2 * t - 3)]}
        for n, text in enumerate(texts)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture
def manifests(tmp_path: Path) -> tuple[str, str]:
    return (
        str(write_manifest(tmp_path / "train.jsonl", 40, 1)),
        str(write_manifest(tmp_path / "validation.jsonl", 8, 2)),
    )


def make_task(manifests: tuple[str, str], **changes: Any) -> TextToSemanticTask:
    torch.manual_seed(0)
    sources = (TokenSource(manifests[0]),)
    fields = {"sources": sources, "validation": manifests[1], "batch_tokens": 100, **changes}
    return TextToSemanticTask(
        build(TextToSemanticTraining, fields, "run.yaml, data"), TextToSemantic(TextToSemanticConfig(**SHAPE))
    )


def test_deletion_takes_its_share_and_keeps_the_order() -> None:
    """Of 10,000 tokens 6,000 go, within six standard deviations (2e-9)."""
    torch.manual_seed(0)
    tokens = torch.arange(10_000)
    kept = corrupt(tokens, 0.6)
    assert abs(len(kept) - 4_000) < 6 * (10_000 * 0.24) ** 0.5
    assert bool((kept.diff() > 0).all())
    assert len(corrupt(torch.tensor([5]), 0.999)) == 1


def test_pretraining_reconstructs_the_whole_sequence(manifests: tuple[str, str]) -> None:
    task = make_task(manifests, phase="pretrain")
    record = json.loads(Path(manifests[0]).read_text().splitlines()[0])
    example = task.dataset()[0]
    assert example["tokens"].tolist() == record["tokens"]
    assert len(example["source"]) < len(record["tokens"])
    batch = task.collate([example, task.dataset()[1]])
    assert batch["targets"][0, : len(record["tokens"]) + 1].tolist() == [*record["tokens"], 20]


def test_supervised_batch_is_padded_and_ends_in_eos(manifests: tuple[str, str]) -> None:
    task = make_task(manifests)
    examples = sorted((task.dataset()[n] for n in range(5)), key=lambda example: len(example["tokens"]))
    batch = task.collate([examples[0], examples[-1]])
    short = len(examples[0]["tokens"])
    assert examples[0]["source"][-1] == 2, "the text's EOS is added"
    assert batch["source"][0, len(examples[0]["source"]) :].tolist().count(-1) > 0
    assert batch["semantic"][0, short:].unique().tolist() == [-1]
    assert batch["targets"][0, short] == 20
    assert batch["targets"][0, short + 1 :].unique().tolist() == [IGNORED]


def test_padding_does_not_change_the_loss(manifests: tuple[str, str]) -> None:
    task = make_task(manifests)
    model = task.modules["text_to_semantic"].eval()
    examples = [task.dataset()[n] for n in range(6)]

    def total(chosen: list[Any]) -> float:
        batch = task.collate(chosen)
        logits = model(batch["source"], batch["semantic"])
        return sequence_loss(logits, batch["targets"], reduction="sum").item()

    assert total(examples) == pytest.approx(sum(total([example]) for example in examples), rel=1e-5)


@pytest.mark.parametrize("phase", ["pretrain", "supervised"])
def test_every_parameter_gets_a_gradient(manifests: tuple[str, str], phase: str) -> None:
    task = make_task(manifests, phase=phase, batch_tokens=2000)
    module = task.modules[task.name].train()
    batch = task.collate([task.dataset()[n] for n in range(40)])
    [(name, loss, metrics)] = list(task.losses(task.modules, batch))
    loss.backward()
    assert name == task.name
    assert metrics["loss"] == pytest.approx(loss.item())
    for key, parameter in module.named_parameters():
        if phase == "pretrain" and "text_embedding" in key:
            assert not parameter.requires_grad, "no text takes part in pretraining"
        else:
            assert parameter.grad is not None, key
            assert parameter.grad.abs().sum() > 0, key


def test_conditioning_dropout_hides_the_text(manifests: tuple[str, str]) -> None:
    """With (nearly) every text hidden, the loss no longer depends on the text."""
    task = make_task(manifests, cond_dropout=0.999999)
    module = task.modules["text_to_semantic"].eval()
    batch = task.collate([task.dataset()[n] for n in range(4)])
    other = {**batch, "source": batch["source"].flip(0)}
    losses = [next(task.losses({"text_to_semantic": module}, b))[1].item() for b in (batch, other)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    free = make_task(manifests, cond_dropout=0.0)
    losses = [next(free.losses({"text_to_semantic": module}, b))[1].item() for b in (batch, other)]
    assert losses[0] != pytest.approx(losses[1], rel=1e-4)


def test_epochs_are_deterministic_and_follow_the_weights(tmp_path: Path, manifests: tuple[str, str]) -> None:
    second = str(write_manifest(tmp_path / "second.jsonl", 40, 3))
    task = make_task(manifests, sources=(TokenSource(manifests[0], 2.0), TokenSource(second, 0.5)))
    assert task.epoch(3, 7) == task.epoch(3, 7) != task.epoch(4, 7)
    counts = torch.bincount(torch.tensor([n for batch in task.epoch(0, 0) for n in batch]), minlength=80)
    assert counts[:40].unique().tolist() == [2]
    assert 5 <= int(counts[40:].sum()) <= 35  # 20 expected, 4.7 standard deviations
    for batch in task.epoch(0, 0):
        assert max(len(task.dataset()[n]["tokens"]) + 1 for n in batch) * len(batch) <= 100


def write_settings(folder: Path, manifests: tuple[str, str], name: str, **data: Any) -> Path:
    settings = {
        "output": str(folder / name),
        "data": {"sources": [{"manifest": manifests[0]}], "validation": manifests[1], "batch_tokens": 200, **data},
        "model": SHAPE,
        "loop": {"steps": 8, "learning_rate": 0.003, "warmup_steps": 2, "validate_every": 8, "save_every": 8},
    }
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def test_pretrain_then_supervised(tmp_path: Path, manifests: tuple[str, str]) -> None:
    """Two short runs through the real loop; the second starts from the first and learns."""
    before = make_task(manifests)
    with torch.no_grad():
        untrained = before.validate({"text_to_semantic": before.modules["text_to_semantic"].eval()})
    train(write_settings(tmp_path, manifests, "pretrain", phase="pretrain"))
    settings = write_settings(tmp_path, manifests, "supervised", init_from=str(tmp_path / "pretrain"))
    metrics = train(settings)
    assert metrics["loss"] < untrained["loss"] - 0.1
    assert 0.0 <= metrics["accuracy"] <= 1.0
    model = load_trained(tmp_path / "supervised")
    assert model.config == TextToSemanticConfig(**SHAPE)
    task = make_task(manifests)
    with torch.no_grad():
        assert task.validate({"text_to_semantic": model.eval()}) == pytest.approx(metrics, rel=1e-4)


def test_a_pretrained_folder_loads_as_a_model(tmp_path: Path, manifests: tuple[str, str]) -> None:
    train(write_settings(tmp_path, manifests, "pretrain", phase="pretrain"))
    assert isinstance(load_trained(tmp_path / "pretrain"), TextToSemantic)
    settings = write_settings(tmp_path, manifests, "other", init_from=str(tmp_path / "pretrain"))
    changed = yaml.safe_load(settings.read_text())
    changed["model"] = {**SHAPE, "ff_inner": 24}
    settings.write_text(yaml.safe_dump(changed))
    with pytest.raises(UserError, match="ff_inner 48 -> 24"):
        train(settings)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"phase": "guess"}, "data.phase is 'guess'; it should be 'pretrain' or 'supervised'"),
        ({"delete": 1.0}, "data.delete is 1.0; it should be less than 1"),
        ({"sources": ()}, "data: sources is empty"),
        ({"longest_tokens": 2}, "no utterance of 1 to 2 tokens"),
    ],
)
def test_wrong_settings_are_refused(manifests: tuple[str, str], changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        make_task(manifests, **changes)


def test_ids_outside_the_model_are_named(tmp_path: Path, manifests: tuple[str, str]) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text(json.dumps({"id": "x1", "text_ids": [3, 50], "tokens": [1, 2]}) + "\n")
    with pytest.raises(UserError, match="utterance x1: text_ids hold ids outside 0 to 11"):
        make_task((str(bad), manifests[1]))


def test_losses_by_hand() -> None:
    logits = torch.tensor([[[2.0, 0.0, 1.0], [0.0, 3.0, 0.0], [9.0, 0.0, 0.0]]])
    targets = torch.tensor([[0, 2, IGNORED]])
    law = logits.log_softmax(-1)
    plain = -(law[0, 0, 0] + law[0, 1, 2]) / 2
    torch.testing.assert_close(sequence_loss(logits, targets), plain)
    smooth = 0.9 * plain - 0.1 * law[0, :2].mean()
    torch.testing.assert_close(sequence_loss(logits, targets, 0.1), smooth)
    assert top1_hits(logits, targets) == (1, 2)
