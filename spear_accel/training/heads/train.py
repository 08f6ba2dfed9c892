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
from spear_accel.training.heads.on_policy import SampleSettings, own_samples
from spear_accel.training.heads.task import NAME, DraftHeadTask
from spear_accel.training.loop.settings import build, read_settings
from spear_accel.training.loop.trainer import LoopConfig, load_modules, run
from spear_accel.training.text_to_semantic.train import load_trained
from spear_accel.voice import components
from spear_accel.voice.folder import CARD, list_shipped, open_voice

__all__ = ["load_trained_heads", "load_trained_trunk", "load_trunk", "train"]

Records = list[dict[str, Any]]


def train(settings: Path | str) -> dict[str, float]:
    """Train from a YAML file with the sections ``data``, ``heads`` and ``loop`` and an ``output`` folder.

    ``heads`` maps the kind of each head to its shape and, under ``loss``, to a `HeadLoss`.

    Returns:
        The metrics of the last validation. The output folder holds the loop's files and config.json.

    Raises:
        UserError: A setting or a file it names is missing or wrong.
    """
    given = read_settings(settings, ("data", "heads", "loop", "output"))
    loop = build(LoopConfig, given["loop"], f"{settings}, loop")
    config = _training(given["data"], f"{settings}, data")
    losses, shapes = _split(given["heads"], f"{settings}, heads")
    model = load_trunk(config.trunk)
    torch.manual_seed(loop.seed)
    heads = {kind: _fresh(kind, shape, model, config, f"{settings}, heads.{kind}") for kind, shape in shapes.items()}
    for kind, head in heads.items():
        losses[kind].weights(int(head.horizon))  # type: ignore[arg-type]
    training, validation = _records(config, model)
    task = DraftHeadTask(config, model, heads, losses, training, validation)
    shape = {
        "trunk": model.config.to_dict(),
        "joint": config.trunk_weight > 0.0,
        "heads": {kind: head_config(head) for kind, head in heads.items()},
    }
    return run(task, loop, Path(given["output"]), shape)


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


def _training(data: Mapping[str, Any], place: str) -> DraftHeadTraining:
    given = (data or {}).get("samples")
    samples = None if given is None else build(SampleSettings, given, f"{place}.samples")
    return build(DraftHeadTraining, {**(data or {}), "samples": samples}, place)


def _split(heads: Any, place: str) -> tuple[dict[str, HeadLoss], dict[str, dict[str, Any]]]:
    """Losses and shapes by kind."""
    if not isinstance(heads, Mapping) or not heads:
        raise UserError(f"{place}: name at least one kind of head, with its shape")
    given = {str(kind): dict(shape or {}) for kind, shape in heads.items()}
    losses = {kind: build(HeadLoss, shape.pop("loss", None), f"{place}.{kind}.loss") for kind, shape in given.items()}
    return losses, given


def _fresh(
    kind: str, shape: Mapping[str, Any], model: TextToSemantic, config: DraftHeadTraining, place: str
) -> nn.Module:
    """A new head that starts from the trunk's own embedding."""
    target = model.config if config.dropout is None else replace(model.config, dropout=config.dropout)
    head = build_head(kind, shape, target, place)
    head.init_from_embedding(model.decoder.embedding.weight.detach())  # type: ignore[operator]
    return head


def _records(config: DraftHeadTraining, model: TextToSemantic) -> tuple[Records, Records]:
    """What to learn from and what to validate on."""
    validation = read_manifest(config.validation, ("text_ids",) if config.targets == "samples" else _PAIR)
    if not validation:
        raise UserError(f"{config.validation} is empty; name utterances to validate on")
    if config.targets != "samples" or config.samples is None:
        return _read(config.sources, _PAIR), validation
    held_out = {tuple(record["text_ids"]) for record in validation}
    texts = [tuple(record["text_ids"]) for record in _read(config.samples.texts or config.sources, ("text_ids",))]
    folder = Path(config.samples.folder)
    # Several processes on one machine: the first one speaks, the others then find the files.
    state = PartialState(cpu=not torch.accelerator.is_available())
    with state.main_process_first():
        speaker = model.to(state.device)
        spoken = [text for text in texts if text not in held_out]
        training = own_samples(speaker, spoken, config.samples, folder / "training.jsonl", config.samples.count)
        judged = own_samples(speaker, sorted(held_out), config.samples, folder / "validation.jsonl", len(held_out))
    return training, judged


_PAIR = ("id", "text_ids", "tokens")


def _read(manifests: Iterable[str], needed: Iterable[str]) -> Records:
    needed = tuple(needed)
    return [record for path in manifests for record in read_manifest(path, needed)]
