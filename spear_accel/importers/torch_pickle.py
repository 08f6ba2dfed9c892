"""Files of other packages: pickles that may hold tensors and plain values and nothing else, and their key tables.

Knows no layout.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import torch
from torch import Tensor

from spear_accel.errors import UserError

__all__ = ["check_keys", "read_pickle", "tensors_of"]

Shapes = Mapping[str, tuple[int, ...]]


def read_pickle(path: str | Path) -> Any:
    """What `torch.save` wrote. Nothing in the file is executed.

    Raises:
        UserError: The file is missing, cut short, no such file, or holds more than tensors and plain values.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file; give the checkpoint that torch.save wrote")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "Unsupported global" in str(error) or "WeightsUnpickler" in str(error) or "weights_only" in str(error):
            raise UserError(
                f"{path}: refused, for it holds more than tensors and could run code; save its state_dict alone "
                "with torch.save and import that"
            ) from error
        raise UserError(f"{path}: not a checkpoint of torch.save, or damaged; take the original") from error
    except (RuntimeError, EOFError, BadZipFile, OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise UserError(f"{path}: cut short, or not a checkpoint of torch.save; take the original") from error


def tensors_of(found: Any, path: str | Path) -> dict[str, Tensor]:
    """A state dict's tensors by name. Raises UserError where `found` is none."""
    if not isinstance(found, dict) or not found:
        raise UserError(f"{path}: holds a {type(found).__name__}, no table of tensors by name; save the state_dict")
    strange = [str(name) for name, value in found.items() if not (isinstance(name, str) and torch.is_tensor(value))]
    if strange:
        raise UserError(f"{path}: {_listed(strange)} are no tensors; save the state_dict alone")
    return dict(found)


def check_keys(table: Mapping[str, Tensor], wanted: Shapes, path: str | Path, layout: str) -> None:
    """Compare all keys with those that a layout wants.

    Raises:
        UserError: Every missing, unexpected and misshapen key at once, grouped; long groups are counted.
    """
    missing = [name for name in wanted if name not in table]
    unexpected = [name for name in table if name not in wanted]
    misshapen = [
        f"{name} is {list(table[name].shape)}, not {list(shape)}"
        for name, shape in wanted.items()
        if name in table and tuple(table[name].shape) != tuple(shape)
    ]
    groups = (("missing", missing), ("unexpected", unexpected), ("misshapen", misshapen))
    faults = [f"{len(names)} {kind}: {_listed(names)}" for kind, names in groups if names]
    if faults:
        raise UserError(f"{path}: no {layout} checkpoint as this release knows it; {'; '.join(faults)}")
    broken = [name for name, value in table.items() if value.is_floating_point() and not value.isfinite().all()]
    if broken:
        raise UserError(f"{path}: holds numbers that are not finite in {_listed(broken)}; take another checkpoint")


def _listed(names: Iterable[str]) -> str:
    """All names, those that differ in a layer's number only as one: `layers.{0,1,2}.norm`."""
    grouped: dict[str, list[str]] = {}
    for name in names:
        pieces = name.split(".")
        number = next((place for place, piece in enumerate(pieces) if piece.isdigit()), None)
        pattern = name if number is None else ".".join([*pieces[:number], "{}", *pieces[number + 1 :]])
        grouped.setdefault(pattern, []).append("" if number is None else pieces[number])
    return ", ".join(
        pattern if numbers == [""] else pattern.replace("{}", _braced(numbers), 1)
        for pattern, numbers in grouped.items()
    )  # fmt: skip


def _braced(numbers: list[str]) -> str:
    return numbers[0] if len(numbers) == 1 else "{" + ",".join(numbers) + "}"
