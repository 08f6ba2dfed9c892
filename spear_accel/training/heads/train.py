"""Trains draft heads for a text-to-semantic model, frozen and heard on its own samples, or learning along.

Joins settings, samples, heads and task. Does not know how heads are used in decoding, nor optimisation or files of
checkpoints: those are the loop's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from torch import Tensor, nn

from spear_accel.errors import UserError
from spear_accel.heads import build_head, head_config
from spear_accel.model import TextToSemantic, TextToSemanticConfig
from spear_accel.storage import files
from spear_accel.storage.json_lines import read_manifest
from spear_accel.storage.weights import CONFIG, WEIGHTS
from spear_accel.training.heads.config import DraftHeadTraining
from spear_accel.training.heads.losses import HeadLoss
from spear_accel.training.heads.on_policy import on_policy_records
from spear_accel.training.heads.task import NAME, DraftHeadTask, HeadRecords
from spear_accel.training.loop.config import LoopConfig
from spear_accel.training.loop.settings import Settings, build, read_sections
from spear_accel.training.loop.trainer import load_modules, run
from spear_accel.training.text_to_semantic.train import load_trained
from spear_accel.voice import components
from spear_accel.voice.folder import CARD, list_shipped, open_voice

__all__ = ["folder_config", "load_trained_heads", "load_trained_trunk", "load_trunk", "new_heads", "train"]

Records = list[dict[str, Any]]


def train(settings: Settings) -> dict[str, float]:
    """Trains from settings with the sections `data`, `heads` and `loop` and an `output` folder.

    `heads` maps the kind of each head to its shape and, under `loss`, to a `HeadLoss`.

    Returns:
        The metrics of the last validation. The output folder holds the loop's files and config.json.

    Raises:
        UserError: A setting or a file it names is missing or wrong.
    """
    given = read_sections(settings, ("data", "heads"))
    loop, config = given.build(LoopConfig, "loop"), given.build(DraftHeadTraining, "data")
    place = f"{given.place}, heads"
    losses, shapes = _split(given.values["heads"], place)
    model = load_trunk(config.trunk)
    torch.manual_seed(loop.seed)
    heads = new_heads(shapes, model, config.dropout, place)
    for kind, head in heads.items():
        losses[kind].weights(int(head.horizon))  # type: ignore[arg-type]
    task = DraftHeadTask(config, model, heads, losses, _records(config, model))
    shape = folder_config(model, heads, joint=config.trunk_weight > 0.0)
    return run(task, loop, given.output, shape, given.values)


def new_heads(
    shapes: Mapping[str, Mapping[str, Any]], model: TextToSemantic, dropout: float | None, place: str
) -> dict[str, nn.Module]:
    """Heads by kind, with fresh weights that start from the model's own embedding.

    Args:
        shapes: The fields of each kind's config.
        model: The model that they draft for.
        dropout: In the heads; the model's if None.
        place: Names the section in errors.

    Raises:
        UserError: A kind or a field is unknown, missing or out of range.
    """
    target = model.config if dropout is None else replace(model.config, dropout=dropout)
    heads: dict[str, nn.Module] = {}
    for kind, shape in shapes.items():
        heads[kind] = build_head(kind, shape, target, f"{place}.{kind}")
        heads[kind].init_from_embedding(model.decoder.embedding.weight.detach())  # type: ignore[operator]
    return heads


def folder_config(model: TextToSemantic, heads: Mapping[str, nn.Module], *, joint: bool) -> dict[str, Any]:
    """The config.json of a training folder: what loading the heads again needs to know.

    `joint`: whether the model learns along, so that its weights are in the folder, too.
    """
    shapes = {kind: head_config(head) for kind, head in heads.items()}
    return {"trunk": model.config.to_dict(), "joint": joint, "heads": shapes}


def load_trained_heads(folder: Path | str) -> dict[str, nn.Module]:
    """The heads of a training folder by kind, with their (averaged) weights, in evaluation mode.

    Raises:
        UserError: The folder holds no checkpoint, or one of another task.
    """
    config, state = _trained(Path(folder))
    target = TextToSemanticConfig.from_dict(config["trunk"], str(Path(folder) / CONFIG))
    heads = {}
    for name, values in config["heads"].items():
        shape = {key: value for key, value in values.items() if key != "kind"}
        heads[name] = build_head(values["kind"], shape, target, str(Path(folder) / CONFIG)).eval()
        heads[name].load_state_dict(_under(f"heads.{name}.", state))
    return heads


def load_trained_trunk(folder: Path | str) -> TextToSemantic | None:
    """The decoder that learned along with the heads of a training folder; None where it was frozen."""
    config, state = _trained(Path(folder))
    if not config["joint"]:
        return None
    model = TextToSemantic(TextToSemanticConfig.from_dict(config["trunk"], str(Path(folder) / CONFIG)))
    model.load_state_dict(_under("trunk.", state))
    return model.eval()


def load_trunk(place: str) -> TextToSemantic:
    """The model of a voice (by folder or shipped name), of a model folder or of a training folder."""
    folder = Path(place)
    if (folder / CARD).exists() or (place in list_shipped() and not folder.exists()):
        return components.load_text_to_semantic(open_voice(place))
    if (folder / WEIGHTS).exists():
        return components.read_text_to_semantic(folder)
    return load_trained(folder)


def _trained(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    states = load_modules(folder)
    if NAME not in states:
        raise UserError(f"{folder} holds {', '.join(states)}, no draft heads")
    return files.read_json(folder / CONFIG), states[NAME]


def _under(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def _split(heads: Any, place: str) -> tuple[dict[str, HeadLoss], dict[str, dict[str, Any]]]:
    """Losses and shapes by kind."""
    if not isinstance(heads, Mapping) or not heads:
        raise UserError(f"{place}: name at least one kind of head, with its shape")
    given = {str(kind): dict(shape or {}) for kind, shape in heads.items()}
    losses = {kind: build(HeadLoss, shape.pop("loss", None), f"{place}.{kind}.loss") for kind, shape in given.items()}
    return losses, given


def _records(config: DraftHeadTraining, model: TextToSemantic) -> HeadRecords:
    """What to learn from and what to validate on."""
    drawn = config.drawn
    validation = read_manifest(config.validation, _PAIR if drawn is None else ("text_ids",))
    if not validation:
        raise UserError(f"{config.validation} is empty; name utterances to validate on")
    if drawn is None:
        return HeadRecords(_read(config.sources, _PAIR), validation)
    held_out = {tuple(record["text_ids"]) for record in validation}
    texts = [tuple(record["text_ids"]) for record in _read(drawn.texts or config.sources, ("text_ids",))]
    folder = Path(drawn.folder)
    # Several processes on one machine: the first one draws, the others then find the files.
    state = PartialState(cpu=not torch.accelerator.is_available())
    with state.main_process_first():
        model = model.to(state.device)
        unseen = [text for text in texts if text not in held_out]
        training = on_policy_records(model, unseen, drawn, folder / "training.jsonl", drawn.count)
        held = on_policy_records(model, sorted(held_out), drawn, folder / "validation.jsonl", len(held_out))
    return HeadRecords(training, held, drawn.temperature)


_PAIR = ("id", "text_ids", "tokens")


def _read(manifests: Iterable[str], needed: Iterable[str]) -> Records:
    needed = tuple(needed)
    return [record for path in manifests for record in read_manifest(path, needed)]
