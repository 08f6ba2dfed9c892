"""Training checkpoints: weights as safetensors, optimiser state beside them, replaced as a whole or not at all.

Knows files. Does not know what is trained, or when to save.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from spear_accel.errors import UserError
from spear_accel.storage import files, folders
from spear_accel.storage.weights import fill, read_tensors, tensors_of, write_tensors

__all__ = ["load_modules", "restore", "save"]

CHECKPOINT = "checkpoint"
_PROGRESS, _OPTIMISERS = "progress.json", "optimisers.pt"


def save(
    folder: Path,
    progress: Mapping[str, Any],
    modules: Mapping[str, nn.Module],
    optimisers: Mapping[str, Any],
    averages: Mapping[str, AveragedModel],
) -> None:
    """Writes a checkpoint to `folder/checkpoint`; the old one stays until the new one is complete.

    Args:
        folder: The training folder.
        progress: JSON values to keep beside the weights; `step` is the number of steps done.
        modules: What is trained, by name.
        optimisers: Those of the modules, by the same names.
        averages: Moving averages of modules, by the same names.
    """
    with folders.replacing(folder / CHECKPOINT) as target:
        for name, module in modules.items():
            write_tensors(target / f"{name}.safetensors", tensors_of(module), half=False)
        for name, averaged in averages.items():
            write_tensors(target / f"{name}.average.safetensors", tensors_of(averaged.module), half=False)
        torch.save({name: optimiser.state_dict() for name, optimiser in optimisers.items()}, target / _OPTIMISERS)
        counts = {name: int(averaged.n_averaged) for name, averaged in averages.items()}
        files.write_json(target / _PROGRESS, {**progress, "modules": list(modules), "averaged": counts})


def restore(
    folder: Path,
    modules: Mapping[str, nn.Module],
    optimisers: Mapping[str, Any],
    averages: Mapping[str, AveragedModel],
) -> int:
    """Load the newest checkpoint of `folder` into the arguments and return its step; 0 when there is none.

    Raises:
        UserError: The checkpoint holds other modules than these.
    """
    source = folders.latest(folder / CHECKPOINT)
    if source is None:
        return 0
    progress = files.read_json(source / _PROGRESS)
    if progress["modules"] != list(modules):
        raise UserError(
            f"{source} holds {', '.join(progress['modules'])}, this run trains {', '.join(modules)}; "
            "choose another output folder or delete the old one"
        )
    states = torch.load(source / _OPTIMISERS, weights_only=True, map_location="cpu")
    for name, module in modules.items():
        _load(module, source / f"{name}.safetensors")
        optimisers[name].load_state_dict(states[name])
    for name, averaged in averages.items():
        path = source / f"{name}.average.safetensors"
        _load(averaged.module, path if path.exists() else source / f"{name}.safetensors")
        averaged.n_averaged.fill_(progress["averaged"].get(name, 0))
    return int(progress["step"])


def load_modules(folder: Path) -> dict[str, dict[str, Tensor]]:
    """The weights of the newest checkpoint in `folder` by module name, averaged ones where they were kept.

    Raises:
        UserError: `folder` holds no checkpoint.
    """
    source = folders.latest(folder / CHECKPOINT)
    if source is None:
        raise UserError(f"{folder} holds no training checkpoint; train first or name another folder")
    names = files.read_json(source / _PROGRESS)["modules"]
    averages = {name: source / f"{name}.average.safetensors" for name in names}
    return {
        name: read_tensors(average if average.exists() else source / f"{name}.safetensors")
        for name, average in averages.items()
    }


def _load(module: nn.Module, path: Path) -> None:
    try:
        fill(module, read_tensors(path), f"{path} does not fit the configured model")
    except UserError as error:
        raise UserError(f"{error}; restore the old configuration or choose another output folder") from error
