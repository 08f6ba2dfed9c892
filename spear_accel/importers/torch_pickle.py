"""Reads what `torch.save` wrote: tensors and plain values, never code; and compares its keys with a layout's.

Knows no layout.
"""

from __future__ import annotations

import codecs
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from spear_accel.errors import UserError
from spear_accel.storage.keys import Shapes, listed, misfits, shapes_of

__all__ = ["check_keys", "read_pickle", "tensors_of"]

_MAGIC = {
    b"PK\x03\x04": None, b"\x80": None, b"\x1f\x8b": "a gzip archive; unpack it", b"\x89HDF": "an HDF5 file",
    b"GGUF": "a GGUF file", b"\x08\x00\x00\x00": "an ONNX or protobuf file",
}  # fmt: skip
"""First bytes of files; None where torch.save may have written them."""


def read_pickle(path: str | Path, *, mapped: bool = False) -> Any:
    """The object that `torch.save` wrote. Nothing in the file is executed.

    mapped: whether tensors may stay on the disk until they are read, where the file's format allows.

    Raises:
        UserError: The file is missing, of another kind, cut short, or holds more than tensors and plain values.
    """
    path = Path(path)
    if not path.is_file():
        what = "is a folder; give the checkpoint in it" if path.is_dir() else "no such file; give the checkpoint"
        raise UserError(f"{path}: {what} that torch.save wrote")
    try:
        kind = _other_kind(path)
    except OSError as error:
        raise UserError(f"{path}: cannot read ({error.strerror})") from error
    if kind is not None:
        raise UserError(f"{path}: not a checkpoint of torch.save, but {kind}")
    try:
        lazily = mapped and zipfile.is_zipfile(path)
        return torch.load(path, map_location="cpu", weights_only=True, mmap=lazily)
    except pickle.UnpicklingError as error:
        if "WeightsUnpickler error" in str(error) and "Unsupported operand" not in str(error):
            raise UserError(
                f"{path}: refused, because it holds more than tensors and could run code; save its state_dict alone "
                "with torch.save and import that"
            ) from error
        raise UserError(f"{path}: not a checkpoint of torch.save, or damaged; take the original") from error
    except Exception as error:  # On damaged bytes torch raises whatever its parser stumbles over.
        raise UserError(f"{path}: cut short, or not a checkpoint of torch.save; take the original") from error


def _other_kind(path: Path) -> str | None:
    """What a file is that `torch.save` cannot have written; None if it may have."""
    with path.open("rb") as file:
        head = file.read(4096)
    if not head:
        return "an empty file; copy the original again"
    if len(head) > 8 and int.from_bytes(head[:8], "little") < path.stat().st_size and head[8:10] in (b'{"', b"{ "):
        return (
            "a safetensors file; read it with safetensors.torch.load_file, save the tensors with torch.save, and "
            "import that file"
        )
    for magic, kind in _MAGIC.items():
        if head.startswith(magic):
            return kind
    return _text_kind(head)


def _text_kind(head: bytes) -> str | None:
    """The kind of a text file by its beginning; None if it is binary. Pickle protocol 0 is ASCII, too."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return None
    if any(ord(character) < 32 and character not in "\t\n\r\f" for character in text):
        return None
    if text.startswith("version https://git-lfs"):
        return "a Git LFS pointer to it; run git lfs pull"
    return f"a text file that begins {text.split(chr(10))[0].strip()[:40]!r}; give the file with the weights"


def tensors_of(found: Any, path: str | Path) -> dict[str, Tensor]:
    """The tensors of a state dict by name, without the prefixes of torch.compile and data-parallel wrappers.

    Raises:
        UserError: `found` is no state dict.
    """
    if not isinstance(found, dict) or not found:
        raise UserError(f"{path}: holds a {type(found).__name__}, no table of tensors by name; save the state_dict")
    strange = [str(name) for name, value in found.items() if not (isinstance(name, str) and torch.is_tensor(value))]
    if strange:
        raise UserError(f"{path}: {listed(strange)} are no tensors; save the state_dict alone")
    return _unwrapped(found)


def _unwrapped(table: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Names as the model itself has them: `_orig_mod` gone everywhere, `module.` where all names begin with it."""
    plain = {".".join(part for part in name.split(".") if part != "_orig_mod"): value for name, value in table.items()}
    while all(name.startswith("module.") for name in plain):
        plain = {name.removeprefix("module."): value for name, value in plain.items()}
    return plain if len(plain) == len(table) else dict(table)


def check_keys(table: Mapping[str, Tensor], wanted: Shapes, path: str | Path, layout: str) -> None:
    """Compare all keys with those that a layout wants.

    Raises:
        UserError: Every missing, unexpected and misshapen key at once, grouped; long groups are counted.
    """
    if faults := misfits(shapes_of(table), wanted):
        raise UserError(f"{path}: no {layout} checkpoint as this release knows it; {faults}")
    broken = [name for name, value in table.items() if value.is_floating_point() and not value.isfinite().all()]
    if broken:
        raise UserError(f"{path}: holds numbers that are not finite in {listed(broken)}; take another checkpoint")
