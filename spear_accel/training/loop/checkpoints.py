"""Training checkpoints: weights as safetensors, optimiser state beside them, replaced as a whole or not at all.

Knows files. Does not know what is trained, or when to save.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, load_model, save_model
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from spear_accel.errors import UserError

__all__ = ["load_modules", "restore", "save"]

_CURRENT, _NEXT, _PREVIOUS = "checkpoint", "checkpoint.next", "checkpoint.previous"


def save(
    folder: Path,
    step: int,
    modules: Mapping[str, nn.Module],
    optimisers: Mapping[str, Any],
    averages: Mapping[str, AveragedModel],
) -> None:
    """Write a checkpoint of ``step`` to ``folder/checkpoint``; the old one stays until the new one is complete."""
    target = folder / _NEXT
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for name, module in modules.items():
        save_model(module, str(target / f"{name}.safetensors"))
    for name, averaged in averages.items():
        save_model(averaged.module, str(target / f"{name}.average.safetensors"))
    torch.save({name: optimiser.state_dict() for name, optimiser in optimisers.items()}, target / "optimisers.pt")
    counts = {name: int(averaged.n_averaged) for name, averaged in averages.items()}
    (target / "progress.json").write_text(json.dumps({"step": step, "modules": list(modules), "averaged": counts}))
    _replace(folder)


def restore(
    folder: Path,
    modules: Mapping[str, nn.Module],
    optimisers: Mapping[str, Any],
    averages: Mapping[str, AveragedModel],
) -> int:
    """Load the newest checkpoint of ``folder`` into the arguments and return its step; 0 when there is none.

    Raises:
        UserError: The checkpoint holds other modules than these.
    """
    source = _newest(folder)
    if source is None:
        return 0
    progress = json.loads((source / "progress.json").read_text())
    if progress["modules"] != list(modules):
        raise UserError(
            f"{source} holds {', '.join(progress['modules'])}, this run trains {', '.join(modules)}; "
            "choose another output folder or delete the old one"
        )
    states = torch.load(source / "optimisers.pt", weights_only=True, map_location="cpu")
    for name, module in modules.items():
        _load(module, source / f"{name}.safetensors")
        optimisers[name].load_state_dict(states[name])
    for name, averaged in averages.items():
        path = source / f"{name}.average.safetensors"
        _load(averaged.module, path if path.exists() else source / f"{name}.safetensors")
        averaged.n_averaged.fill_(progress["averaged"].get(name, 0))
    return int(progress["step"])


def load_modules(folder: Path) -> dict[str, dict[str, Tensor]]:
    """The weights of the newest checkpoint in ``folder`` by module name, averaged ones where they were kept.

    Raises:
        UserError: ``folder`` holds no checkpoint.
    """
    source = _newest(folder)
    if source is None:
        raise UserError(f"{folder} holds no training checkpoint; train first or name another folder")
    names = json.loads((source / "progress.json").read_text())["modules"]
    paths = {name: source / f"{name}.average.safetensors" for name in names}
    return {name: load_file(path if path.exists() else source / f"{name}.safetensors") for name, path in paths.items()}


def _load(module: nn.Module, path: Path) -> None:
    try:
        load_model(module, str(path))
    except RuntimeError as error:
        raise UserError(
            f"{path} does not fit the configured model ({str(error).splitlines()[-1].strip()}); "
            "restore the old configuration or choose another output folder"
        ) from error


def _replace(folder: Path) -> None:
    """Swap the finished checkpoint in. A kill between the two renames leaves the previous one to fall back on."""
    current, previous = folder / _CURRENT, folder / _PREVIOUS
    if current.exists():
        shutil.rmtree(previous, ignore_errors=True)
        os.replace(current, previous)
    os.replace(folder / _NEXT, current)
    shutil.rmtree(previous, ignore_errors=True)


def _newest(folder: Path) -> Path | None:
    for name in (_CURRENT, _PREVIOUS):
        if (folder / name / "progress.json").exists():
            return folder / name
    return None
