"""A tiny model, its heads, texts and settings for the tests of head training."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import nn

from spear_accel.heads import EarlyExit, build_head
from spear_accel.model import TextToSemantic, TextToSemanticConfig
from spear_accel.training.heads import train as heads_training
from spear_accel.training.heads.config import HeadOptions
from spear_accel.training.heads.losses import HeadLoss
from spear_accel.training.heads.task import DraftHeadTask, HeadRecords
from spear_accel.training.heads.train import train

Records = list[dict[str, Any]]

SHAPE: dict[str, Any] = {
    "text_vocab_size": 12, "semantic_units": 20, "dim": 32, "heads": 2, "kv_heads": 1, "head_dim": 16,
    "encoder_layers": 1, "decoder_layers": 3, "ff_inner": 48, "embedding_scale": 6.0, "text_eos_id": 2,
}  # fmt: skip

KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "exit-0": ("early-exit", {"exit_layer": 2, "blocks": 0}),
    "exit-1": ("early-exit", {"exit_layer": 1, "blocks": 1, "ff_inner": 24}),
    "exit-2": ("early-exit", {"exit_layer": 1, "blocks": 2, "ff_inner": 24, "memory_layer": 0}),
    "prophet": ("prophet", {"horizon": 3, "starts": 2, "layers": 2, "ff_inner": 24}),
    "linear": ("prophet-linear", {"horizon": 3}),
}

HEADS: dict[str, dict[str, Any]] = {
    "early-exit": {"exit_layer": 1, "ff_inner": 24},
    "prophet": {"horizon": 3, "ff_inner": 24},
    "prophet-linear": {"horizon": 2},
}

TEMPERATURE = 0.9


def make_model(**changes: Any) -> TextToSemantic:
    """Random weights so large that utterances have a shape, and end by themselves."""
    torch.manual_seed(1)
    model = TextToSemantic(TextToSemanticConfig(**{**SHAPE, **changes})).eval()
    with torch.no_grad():
        model.decoder.embedding.weight.mul_(8.0)
    return model


def make_texts(count: int, seed: int) -> list[list[int]]:
    generator = random.Random(seed)
    return [[generator.randint(3, 11) for _ in range(generator.randint(2, 6))] for _ in range(count)]


def pairs(count: int, seed: int) -> Records:
    """Each text id is spoken as two units of its own."""
    return [
        {"id": f"{seed}-{n}", "text_ids": text, "tokens": [unit for t in text for unit in (2 * t - 4, 2 * t - 3)]}
        for n, text in enumerate(make_texts(count, seed))
    ]


def write(path: Path, records: Records) -> str:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return str(path)


def make_heads(model: TextToSemantic, chosen: dict[str, tuple[str, dict[str, Any]]]) -> dict[str, nn.Module]:
    torch.manual_seed(2)
    heads = {name: build_head(kind, shape, model.config) for name, (kind, shape) in chosen.items()}
    for head in heads.values():
        head.init_from_embedding(model.decoder.embedding.weight.detach())  # type: ignore[operator]
    return heads


def make_task(
    model: TextToSemantic,
    heads: dict[str, nn.Module],
    records: Records,
    loss: HeadLoss | None = None,
    losses: dict[str, HeadLoss] | None = None,
    **changes: Any,
) -> DraftHeadTask:
    """`loss`: of every head that `losses` does not name."""
    every = dict.fromkeys(heads, loss or HeadLoss(positions=1.0)) | (losses or {})
    data = HeadRecords(records, records, changes.pop("drawn_at", None))
    return DraftHeadTask(HeadOptions(**changes), model, heads, every, data)


def last_layer(model: TextToSemantic, noise: float = 0.0) -> EarlyExit:
    """A head that is the model's last layer, or nearly."""
    last = model.config.decoder_layers - 1
    head = build_head("early-exit", {"exit_layer": last, "ff_inner": model.config.ff_inner}, model.config).eval()
    assert isinstance(head, EarlyExit)
    layer = model.decoder.stack[last].state_dict()
    head.blocks[0].load_state_dict({key: layer[key] for key in head.blocks[0].state_dict()})
    head.norm.load_state_dict(model.decoder.final_norm.state_dict())
    head.init_from_embedding(model.decoder.embedding.weight)
    torch.manual_seed(6)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter += noise * parameter.std() * torch.randn(parameter.shape)
    return head


def on_policy(model: TextToSemantic, heads: dict[str, nn.Module], records: Records) -> DraftHeadTask:
    return make_task(model, heads, records, drawn_at=TEMPERATURE, batch_tokens=100)


def write_settings(place: Path, name: str, heads: Any = None, loop: dict[str, Any] | None = None, **data: Any) -> Path:
    given = {
        "trunk": str(place / "model"), "validation": str(place / "validation.jsonl"),
        "sources": [str(place / "train.jsonl")], "batch_tokens": 400, "longest_tokens": 40, "positions": 0.5,
        "distill_temperature": TEMPERATURE, **data,
    }  # fmt: skip
    if not given.get("trunk_weight") and "samples" not in data:
        samples = {"folder": str(place / "samples"), "count": 60, "temperature": TEMPERATURE, "longest_tokens": 40}
        given["samples"] = samples
    settings = {
        "output": str(place / name), "data": given, "heads": HEADS if heads is None else heads,
        "loop": {"steps": 10, "learning_rate": 0.005, "warmup_steps": 2, "validate_every": 100, "save_every": 100,
                 "precision": "no", **(loop or {})},
    }  # fmt: skip
    path = place / f"{name}.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def caught(monkeypatch: pytest.MonkeyPatch, settings: Path) -> DraftHeadTask:
    """The task that these settings would train."""
    tasks: list[DraftHeadTask] = []
    with monkeypatch.context() as patch:
        patch.setattr(heads_training, "run", lambda task, *_: tasks.append(task) or {})
        train(settings)
    return tasks[0]
