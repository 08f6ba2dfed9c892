"""Whole runs of head training from a YAML file: what is learned, resumed and refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor, nn

from spear_accel.errors import UserError
from spear_accel.model import TextToSemantic
from spear_accel.training.heads import train as heads_training
from spear_accel.training.heads.losses import HeadLoss
from spear_accel.training.heads.task import NAME, DraftHeadTask
from spear_accel.training.heads.train import load_trained_heads, load_trained_trunk, load_trunk, train
from spear_accel.training.text_to_semantic.train import load_trained
from spear_accel.training.text_to_semantic.train import train as train_text_to_semantic
from spear_accel.voice.folder import open_voice
from tests.training.heads.helpers import (
    HEADS,
    SHAPE,
    TEMPERATURE,
    Records,
    caught,
    make_task,
    make_texts,
    pairs,
    write,
    write_settings,
)


def test_heads_learn_from_what_a_frozen_model_says(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = write_settings(place, "heads", loop={"steps": 30, "average": 0.5})
    task = caught(monkeypatch, settings)
    with torch.no_grad():
        untrained = task.validate({NAME: task.modules[NAME].eval()})
    metrics = train(settings)
    for kind in HEADS:
        assert metrics[f"{kind}/loss"] < 0.8 * untrained[f"{kind}/loss"]
        assert metrics[f"{kind}/acceptance_1"] > untrained[f"{kind}/acceptance_1"] + 0.05
    assert metrics["trunk/loss"] == untrained["trunk/loss"]
    assert load_trained_trunk(place / "heads") is None
    heads = load_trained_heads(place / "heads")
    assert list(heads) == list(HEADS) and not any(head.training for head in heads.values())
    for kind, head in heads.items():
        task.modules[NAME].get_submodule(f"heads.{kind}").load_state_dict(head.state_dict())
    with torch.no_grad():
        assert task.validate(task.modules) == pytest.approx(metrics, rel=1e-4)


def test_held_out_texts_are_never_learned_from(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts of the validation manifest that stand in the sources too; the sources' own tokens are not used."""
    write(place / "train.jsonl", pairs(16, 2)[:10] + pairs(40, 1))
    held_out = {tuple(text) for text in make_texts(16, 2)}
    task = caught(monkeypatch, write_settings(place, "heads"))
    learned = {tuple(example["source"].tolist()[:-1]) for example in task.dataset()}
    assert learned and not learned & held_out
    samples = [json.loads(line) for line in (place / "samples" / "training.jsonl").read_text().splitlines()]
    finished = [r["tokens"] for r in samples if r["stop_reason"] in ("eos", "max_length") and r["tokens"]]
    assert [example["tokens"].tolist() for example in task.dataset()] == finished
    judged = [json.loads(line) for line in (place / "samples" / "validation.jsonl").read_text().splitlines()]
    assert {tuple(record["text_ids"]) for record in judged} == held_out


def test_texts_to_speak_take_the_place_of_the_sources(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [{"text_ids": text} for text in make_texts(30, 7)]
    write(place / "texts.jsonl", texts)
    samples = {"folder": str(place / "own"), "texts": str(place / "texts.jsonl"), "count": 40, "longest_tokens": 40}
    caught(monkeypatch, write_settings(place, "heads", sources=[], samples={**samples, "temperature": TEMPERATURE}))
    spoken = [json.loads(line)["text_ids"] for line in (place / "own" / "training.jsonl").read_text().splitlines()]
    assert {tuple(text) for text in spoken} <= {tuple(record["text_ids"]) for record in texts}


def test_fresh_heads_start_from_the_trunk(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dropout is the trunk's where the settings are silent."""
    embedding = load_trunk(str(place / "model")).decoder.embedding.weight
    for dropout, wanted in (({}, SHAPE.get("dropout", 0.1)), ({"dropout": 0.3}, 0.3)):
        heads = caught(monkeypatch, write_settings(place, "heads", targets="corpus", **dropout)).modules[NAME].heads
        assert torch.equal(heads["early-exit"].projection.weight, embedding[:21])
        assert torch.equal(heads["prophet"].embedding.weight, embedding)
        assert heads["early-exit"].blocks[0].dropout == heads["prophet"].layers[0].dropout == wanted


@torch.no_grad()
def cross_entropy(model: TextToSemantic, records: Records) -> float:
    """Nats per token, EOS counted, utterance by utterance."""
    total, number = 0.0, 0
    for record in records:
        logits = model(torch.tensor([[*record["text_ids"], 2]]), torch.tensor([record["tokens"]]))
        for scores, said in zip(logits[0], [*record["tokens"], model.config.eos_id], strict=True):
            total, number = total - scores.log_softmax(-1)[said].item(), number + 1
    return total / number


@pytest.mark.parametrize("detach", [False, True])
def test_heads_and_trunk_learn_together(place: Path, detach: bool) -> None:
    before = cross_entropy(load_trunk(str(place / "model")), pairs(16, 2))
    settings = write_settings(
        place, "joint", loop={"steps": 16, "learning_rate": 0.01}, trunk_weight=1.0, detach=detach, label_smoothing=0.0
    )
    metrics = train(settings)
    trunk = load_trained_trunk(place / "joint")
    assert trunk is not None and not trunk.training
    after = cross_entropy(trunk, pairs(16, 2))
    assert after < before - 0.3
    assert metrics["trunk/loss"] == pytest.approx(after, rel=1e-4)
    changes = {"distill_temperature": TEMPERATURE, "positions": 0.5, "trunk_weight": 1.0, "batch_tokens": 400}
    task = make_task(trunk, load_trained_heads(place / "joint"), pairs(16, 2), HeadLoss(), **changes)
    with torch.no_grad():
        assert task.validate(task.modules) == pytest.approx(metrics, rel=1e-4)


@pytest.mark.parametrize("joint", [False, True], ids=["frozen", "joint"])
def test_a_killed_run_resumes_exactly(place: Path, monkeypatch: pytest.MonkeyPatch, joint: bool) -> None:
    def settings(name: str) -> Path:
        return write_settings(place, name, loop={"save_every": 4, "average": 0.9}, trunk_weight=0.5 if joint else 0.0)

    train(settings("whole"))
    losses, taken = DraftHeadTask.losses, iter(range(7))

    def killed(self: DraftHeadTask, *arguments: Any) -> Any:
        if next(taken, None) is None:
            raise KeyboardInterrupt
        return losses(self, *arguments)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(DraftHeadTask, "losses", killed)
        train(settings("cut"))
    halfway = weights(place / "cut")
    train(settings("cut"))
    whole, cut = weights(place / "whole"), weights(place / "cut")
    assert list(whole) == list(cut)
    assert any(key.startswith("trunk") for key in whole) == joint
    assert all(torch.equal(whole[key], cut[key]) for key in whole)
    assert not all(torch.equal(whole[key], halfway[key]) for key in whole)


def weights(folder: Path) -> dict[str, Tensor]:
    modules: dict[str, nn.Module | None] = {**load_trained_heads(folder), "trunk": load_trained_trunk(folder)}
    return {
        f"{name}.{key}": value
        for name, module in modules.items()
        if module is not None
        for key, value in module.state_dict().items()
    }


def train_trunk(place: Path) -> Path:
    settings = {
        "output": str(place / "trained"), "model": SHAPE,
        "data": {"sources": [{"manifest": str(place / "train.jsonl")}], "validation": str(place / "validation.jsonl")},
        "loop": {"steps": 1, "learning_rate": 0.001, "precision": "no"},
    }  # fmt: skip
    (place / "trained.yaml").write_text(yaml.safe_dump(settings))
    train_text_to_semantic(place / "trained.yaml")
    return place / "trained"


def test_a_trunk_is_found_wherever_it_lies(place: Path, shared_voice: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A voice by folder or name, a model folder, a training folder."""
    voice, folder = load_trunk(str(shared_voice)), load_trunk(str(shared_voice / "text_to_semantic"))
    assert same(voice, folder)
    monkeypatch.setattr(heads_training, "list_shipped", lambda: ["tiny"])
    monkeypatch.setattr(heads_training, "open_voice", lambda name: open_voice(shared_voice.parent / name))
    assert same(load_trunk("tiny"), voice)
    trained = train_trunk(place)
    assert same(load_trunk(str(trained)), load_trained(trained))


def same(one: nn.Module, other: nn.Module) -> bool:
    wanted = other.state_dict()
    return all(torch.equal(value, wanted.pop(key)) for key, value in one.state_dict().items()) and not wanted


def test_a_folder_without_heads_is_refused(place: Path) -> None:
    trained = train_trunk(place)
    for load in (load_trained_heads, load_trained_trunk):
        with pytest.raises(UserError, match="holds no training checkpoint"):
            load(place / "nowhere")
        with pytest.raises(UserError, match="holds text_to_semantic, no draft heads"):
            load(trained)


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "kind": ({"heads": {"oracle": {}}}, r"heads\.oracle: kind 'oracle' is unknown; choose one of recurrent, prophet"),
    "no heads": ({"heads": {}}, "run.yaml, heads: name at least one kind of head"),
    "a list of heads": ({"heads": ["prophet"]}, "run.yaml, heads: name at least one kind of head"),
    "shape": ({"heads": {"early-exit": {"exit_layer": 3}}}, "exit_layer 3: choose 1 to 2"),
    "no shape": ({"heads": {"early-exit": None}}, r"heads\.early-exit: .*exit_layer"),
    "loss": ({"heads": {"prophet": {"loss": {"reward": 1.0}}}}, r"prophet\.loss: unknown setting reward"),
    "weights": (
        {"heads": {"prophet": {"horizon": 3, "loss": {"position_weights": [1.0, 0.5]}}}},
        "2 position_weights for a horizon of 3",
    ),
    "share": (
        {"heads": {"prophet": {"loss": {"positions": 2.0}}}},
        r"prophet\.loss\.positions is 2\.0; it should",
    ),
    "samples": ({"samples": None}, "data: samples is missing"),
    "samples folder": ({"samples": {"count": 3}}, r"run\.yaml, data\.samples: setting folder is missing"),
    "detach": ({"detach": True}, "data: detach needs trunk_weight"),
    "positions": ({"positions": 0.0}, r"data\.positions is 0\.0"),
    "dropout": ({"dropout": 1.5}, r"data\.dropout is 1\.5; it should be less than 1"),
    "setting": ({"temperature": 0.5}, r"run\.yaml, data: unknown setting temperature"),
    "trunk": ({"trunk": "/nowhere"}, "/nowhere holds no training checkpoint"),
    "validation": ({"validation": "/no/v.jsonl"}, "/no/v.jsonl: no such file"),
    "sources": ({"sources": ["/no/t.jsonl"]}, "/no/t.jsonl: no such file"),
    "corpus validation": ({"trunk_weight": 1.0, "validation": "/no/v.jsonl"}, "/no/v.jsonl: no such file"),
    "unfinished": ({"longest_tokens": 1}, "no usable training utterance of 1 to 1 tokens"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_wrong_settings_are_refused(place: Path, fault: str) -> None:
    changes, message = FAULTS[fault]
    with pytest.raises(UserError, match=message):
        train(write_settings(place, "run", **changes))
    assert not (place / "run").exists()


@pytest.mark.parametrize(
    ("emptied", "trunk_weight", "message"),
    [
        ("train", 0.0, "no texts to speak"),
        ("validation", 0.0, "validation.jsonl is empty"),
        ("train", 1.0, "no usable training utterance"),
        ("validation", 1.0, "validation.jsonl is empty"),
    ],
)
def test_an_empty_manifest_is_refused(place: Path, emptied: str, trunk_weight: float, message: str) -> None:
    write(place / f"{emptied}.jsonl", [])
    with pytest.raises(UserError, match=message):
        train(write_settings(place, "run", trunk_weight=trunk_weight))


def test_wrong_weights_are_refused_before_anything_is_spoken(place: Path) -> None:
    with pytest.raises(UserError, match="position_weights"):
        train(write_settings(place, "run", {"prophet": {"horizon": 3, "loss": {"position_weights": [1.0]}}}))
    assert not (place / "samples").exists()


def test_heads_of_another_shape_leave_a_finished_run_alone(place: Path) -> None:
    """The refusal names the fault; what was trained before still loads."""
    train(write_settings(place, "run", loop={"steps": 1}, targets="corpus"))
    with pytest.raises(UserError, match="does not fit the configured model"):
        train(write_settings(place, "run", {"prophet": {"horizon": 3, "ff_inner": 16}}, targets="corpus"))
    assert list(load_trained_heads(place / "run")) == list(HEADS)
