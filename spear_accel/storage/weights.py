"""Tensors and modules on disk: `model.safetensors` beside `config.json`, in half precision or as they are.

Knows nothing about voices or about what a module computes. Nothing it reads can run code.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from spear_accel.errors import UserError
from spear_accel.storage import files
from spear_accel.storage.keys import misfits, shapes_of

__all__ = [
    "CONFIG",
    "WEIGHTS",
    "check_fit",
    "fill",
    "load_module",
    "read_config",
    "read_tensors",
    "save_module",
    "tensors_of",
    "write_tensors",
]

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
_LARGEST_HALF = torch.finfo(torch.float16).max


def save_module(module: nn.Module, config: Mapping[str, Any], folder: str | Path, *, half: bool = True) -> None:
    """Writes `config` and the weights of `module` into `folder`, which is made if need be.

    With `half`, floats are stored as float16 where their values allow.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_tensors(folder / WEIGHTS, tensors_of(module), half=half)
    files.write_json(folder / CONFIG, dict(config))


def read_config(folder: str | Path) -> dict[str, Any]:
    """Reads the JSON object in `config.json`.

    Raises:
        UserError: The line names the file and the fault.
    """
    return files.read_json(Path(folder) / CONFIG)


def load_module(module: nn.Module, folder: str | Path) -> None:
    """Fills `module` from `folder`.

    Raises:
        UserError: The file is damaged, or parameters are missing, unexpected or of another shape: all are named.
    """
    path = Path(folder) / WEIGHTS
    fill(module, read_tensors(path), f"{path}: does not fit its {CONFIG}")


def tensors_of(module: nn.Module) -> dict[str, Tensor]:
    """The parameters and buffers of `module` by name; a tensor with two names comes once, under the first."""
    return _without_aliases(module.state_dict(keep_vars=True))


def write_tensors(path: str | Path, tensors: Mapping[str, Tensor], *, half: bool) -> None:
    """Writes a safetensors file, whole or not at all; with `half`, floats as float16 where their values allow."""
    stored = {name: _stored(tensor, half) for name, tensor in tensors.items()}
    with files.replacing(path) as temporary:
        save_file(stored, temporary)


def read_tensors(path: str | Path) -> dict[str, Tensor]:
    """Reads a safetensors file, float16 and bfloat16 as float32.

    Raises:
        UserError: The file cannot be read, is cut short or is no safetensors file.
    """
    path = Path(path)
    try:
        with path.open("rb"):  # safetensors reports a missing file without a reason
            tensors = load_file(path)
    except OSError as error:
        raise UserError(f"{path}: cannot read ({error.strerror or error}); restore the file") from error
    except SafetensorError as error:
        raise UserError(f"{path}: not a safetensors file, or cut short ({error}); restore the file") from error
    short = (torch.float16, torch.bfloat16)
    return {name: value.float() if value.dtype in short else value for name, value in tensors.items()}


def fill(module: nn.Module, tensors: Mapping[str, Tensor], fault: str) -> None:
    """Copies `tensors` into the parameters and buffers of `module`.

    Args:
        module: Every tensor of it must be given; one with two names by either name, or by both.
        tensors: Tensors by name.
        fault: Beginning of the error: the file, and what it should have fitted.

    Raises:
        UserError: Names are missing or unexpected, or shapes differ: all are named.
    """
    check_fit(module, tensors, fault)
    module.load_state_dict(dict(tensors), strict=False)


def check_fit(module: nn.Module, tensors: Mapping[str, Tensor], fault: str) -> None:
    """Compares names and shapes as `fill` does; the module may be without memory. Raises UserError as `fill`."""
    own = module.state_dict(keep_vars=True)
    aliases = _aliases(own)
    given = {aliases[name] for name in tensors if name in aliases}
    wanted = {
        name: tuple(value.shape)
        for name, value in own.items()
        if name in tensors or (aliases[name] == name and name not in given)
    }
    if faults := misfits(shapes_of(tensors), wanted):
        raise UserError(f"{fault}: {faults}")


def _stored(tensor: Tensor, half: bool) -> Tensor:
    tensor = tensor.detach().cpu().contiguous()
    if not (half and tensor.dtype in (torch.float32, torch.float64)):
        return tensor
    fits = tensor.numel() == 0 or float(tensor.abs().max()) <= _LARGEST_HALF
    return tensor.half() if fits else tensor.float()


def _without_aliases(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Each stored tensor once, under the first of its names."""
    aliases = _aliases(tensors)
    return {name: tensor for name, tensor in tensors.items() if aliases[name] == name}


def _aliases(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """The first name of each tensor, by each of its names; names of one memory, shape and stride are of one tensor."""
    first: dict[Any, str] = {}
    return {name: first.setdefault(_memory(name, tensor), name) for name, tensor in tensors.items()}


def _memory(name: str, tensor: Tensor) -> Any:
    if tensor.is_meta:
        return id(tensor)
    return (tensor.data_ptr(), tensor.shape, tensor.stride()) if tensor.numel() else name
