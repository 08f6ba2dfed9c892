"""Modules on disk: `config.json` beside `model.safetensors`, in half precision, loaded as float32.

Knows nothing about voices or about what a module computes. Nothing it reads can run code.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors
from torch import Tensor, nn

from spear_accel.errors import UserError
from spear_accel.storage import files

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
_LARGEST_HALF = torch.finfo(torch.float16).max


def save_module(module: nn.Module, config: Mapping[str, Any], folder: str | Path, *, half: bool = True) -> None:
    """Write `config` and the weights of `module` into `folder`, which is made if need be.

    With `half`, floats are stored as float16 where their values allow. A tensor that the module holds under two names
    is stored once, under the first.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: _stored(tensor, half) for name, tensor in _without_aliases(module.state_dict()).items()}
    files.write_bytes(folder / WEIGHTS, save_safetensors(tensors))
    files.write_json(folder / CONFIG, dict(config))


def read_config(folder: str | Path) -> dict[str, Any]:
    """The JSON object in `config.json`. Raises UserError naming the file and the fault."""
    return files.read_json(Path(folder) / CONFIG)


def read_weights(folder: str | Path) -> dict[str, Tensor]:
    """The tensors of `model.safetensors`, floats as float32. Raises UserError naming the file and the fault."""
    path = Path(folder) / WEIGHTS
    try:
        tensors = load_safetensors(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path}: cannot read ({error.strerror}); restore the file") from error
    except SafetensorError as error:
        raise UserError(f"{path}: not a safetensors file, or cut short ({error}); restore the file") from error
    return {name: value.float() if value.is_floating_point() else value for name, value in tensors.items()}


def load_module(module: nn.Module, folder: str | Path) -> None:
    """Fill `module` from `folder`.

    Raises UserError naming every parameter that is missing, unexpected or of another shape.
    """
    tensors = read_weights(folder)
    own = module.state_dict(keep_vars=True)
    kept = _without_aliases(own)
    faults = [f"lacks {name}" for name in kept if name not in tensors]
    faults += [f"has an unknown {name}" for name in tensors if name not in own]
    faults += [
        f"holds {name} of shape {list(value.shape)} where {list(own[name].shape)} is needed"
        for name, value in tensors.items()
        if name in own and own[name].shape != value.shape
    ]
    if faults:
        raise UserError(f"{Path(folder) / WEIGHTS}: does not fit its {CONFIG}: {'; '.join(faults)}")
    # The names that are left out are aliases of names that are loaded.
    module.load_state_dict(tensors, strict=False)


def _stored(tensor: Tensor, half: bool) -> Tensor:
    tensor = tensor.detach().cpu().contiguous()
    if not (half and tensor.dtype in (torch.float32, torch.float64)):
        return tensor
    fits = tensor.numel() == 0 or float(tensor.abs().max()) <= _LARGEST_HALF
    return tensor.half() if fits else tensor.float()


def _without_aliases(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Each stored tensor once, under the first of its names."""
    seen: dict[tuple[int, torch.Size, tuple[int, ...]], str] = {}
    kept: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        place = (tensor.data_ptr(), tensor.shape, tensor.stride())
        if tensor.numel() and place in seen:
            continue
        seen[place] = name
        kept[name] = tensor
    return kept
