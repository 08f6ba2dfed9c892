"""A folder of Hugging Face transformers: its JSON files, and its tensors one at a time.

Weights lie in `model.safetensors` or `pytorch_model.bin`, or in parts that an index lists. Knows no architecture.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from safetensors import SafetensorError, safe_open
from torch import Tensor

from spear_accel.errors import UserError
from spear_accel.importers.torch_pickle import read_pickle, tensors_of
from spear_accel.storage import files

__all__ = ["CONFIG", "GENERATION", "PATTERNS", "Tensors", "open_tensors", "read_configs"]

CONFIG, GENERATION = "config.json", "generation_config.json"
PATTERNS = ("*.json", "*.safetensors", "*.model", "*.spm", "*.bin")
"""What of a repository on the Hub is downloaded."""
_WHOLE = ("model.safetensors", "pytorch_model.bin")
_INDEXES = tuple(f"{name}.index.json" for name in _WHOLE)


class Tensors(Protocol):
    """The tensors of a checkpoint by name."""

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of all of them."""

    def read(self, name: str) -> Tensor:
        """One of them, from the disk."""


def read_configs(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """`config.json`, and what is said of generation: in a file of its own or, in older folders, in `config.json`.

    Raises:
        UserError: A file is missing or holds something else.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no folder; give the one that holds {CONFIG} and the weights")
    config = files.read_json(folder / CONFIG)
    has_own = (folder / GENERATION).is_file()
    return config, files.read_json(folder / GENERATION) if has_own else config


@contextmanager
def open_tensors(folder: Path) -> Iterator[Tensors]:
    """The tensors of a folder, whichever way they are kept.

    Raises:
        UserError: There are none, or a file is damaged, missing, or holds more than tensors.
    """
    paths = _weight_files(folder)
    if paths[0].suffix == ".safetensors":
        yield _Lazy(paths)
    else:
        yield _Pickled(paths)


def _weight_files(folder: Path) -> list[Path]:
    for whole, index in zip(_WHOLE, _INDEXES, strict=True):
        if (folder / whole).is_file():
            return [folder / whole]
        if (folder / index).is_file():
            return _listed(folder / index)
    raise UserError(f"{folder}: holds no weights; it needs one of {', '.join((*_WHOLE, *_INDEXES))}")


def _listed(index: Path) -> list[Path]:
    """The files that an index names, each once."""
    places = files.read_json(index).get("weight_map")
    if not isinstance(places, dict) or not places or not all(isinstance(name, str) for name in places.values()):
        raise UserError(f"{index}: lacks a weight_map from tensors to files; restore the file")
    names = sorted(set(places.values()))
    for name in names:
        if PurePosixPath(name).name != name or "\\" in name:
            raise UserError(f"{index}: names {name!r}, which is no file beside it; restore the file")
        if not (index.parent / name).is_file():
            raise UserError(f"{index.parent / name}: missing, though {index.name} names it; download the folder again")
    if len({Path(name).suffix for name in names}) > 1:
        raise UserError(f"{index}: names files of several kinds; restore the file")
    return [index.parent / name for name in names]


class _Lazy:
    """Of safetensors files; nothing is read before it is asked for."""

    def __init__(self, paths: list[Path]) -> None:
        self.shapes: dict[str, tuple[int, ...]] = {}
        self._where: dict[str, Path] = {}
        for path in paths:
            with _opened(path) as file:
                for name in [*file.keys()]:
                    self.shapes[name] = tuple(file.get_slice(name).get_shape())
                    self._where[name] = path

    def read(self, name: str) -> Tensor:
        with _opened(self._where[name]) as file:
            tensor: Tensor = file.get_tensor(name)
            return tensor


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with safe_open(path, "pt") as file:
            yield file
    except OSError as error:
        raise UserError(f"{path}: cannot read ({error.strerror or error}); restore the file") from error
    except SafetensorError as error:
        raise UserError(f"{path}: not a safetensors file, or cut short ({error}); restore the file") from error


class _Pickled:
    """Of files of torch.save, mapped into memory where their format allows."""

    def __init__(self, paths: list[Path]) -> None:
        self._tensors: dict[str, Tensor] = {}
        for path in paths:
            self._tensors |= tensors_of(read_pickle(path, mapped=True), path)
        self.shapes = {name: tuple(tensor.shape) for name, tensor in self._tensors.items()}

    def read(self, name: str) -> Tensor:
        return self._tensors[name]
