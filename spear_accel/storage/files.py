"""Whole files or none: write beside the target, then rename; and JSON read with its faults named.

Knows nothing about what is written.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from spear_accel.errors import UserError


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary path in the folder of `path` that takes its place when the block ends well.

    When the block or the disk fails the temporary file is removed and `path` stays as it was.
    Raises UserError when the folder cannot be written to or the disk is full.
    """
    target = Path(path)
    temporary = _temporary_beside(target)
    try:
        yield temporary
        _settle(temporary, target)
    except OSError as error:
        raise UserError(f"{target}: cannot write ({error.strerror or error}); nothing was left behind") from error
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: str | Path, data: bytes) -> None:
    """`path` holds all of `data` or what it held before."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | Path, text: str) -> None:
    write_bytes(path, text.encode("utf-8"))


def write_lines(path: str | Path, lines: Iterable[str]) -> None:
    """Lines without their ends; they are not kept in memory."""
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{line}\n" for line in lines)


def write_json(path: str | Path, values: dict[str, Any]) -> None:
    write_text(path, json.dumps(values, indent=2, ensure_ascii=False) + "\n")


def read_json(path: str | Path) -> dict[str, Any]:
    """A JSON object. Raises UserError naming the file and the fault."""
    try:
        values = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot read ({error.strerror}); restore the file") from error
    except ValueError as error:
        raise UserError(f"{path}: not valid JSON ({error}); restore the file") from error
    if not isinstance(values, dict):
        raise UserError(f"{path}: must hold a JSON object, not a {type(values).__name__}; restore the file")
    return values


def check_writable(path: str | Path) -> None:
    """Find out before long work whether `replacing(path)` will be able to start. Raises UserError if not."""
    target = Path(path)
    if target.is_dir():
        raise UserError(f"{target}: is a folder; give the name of a file in it")
    _temporary_beside(target).unlink()


def _temporary_beside(target: Path) -> Path:
    if not target.parent.is_dir():
        raise UserError(f"{target.parent}: no such folder; make it first or write elsewhere")
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name[:100]}.", suffix=".part", dir=target.parent)
    except OSError as error:
        raise UserError(f"{target}: cannot write there ({error.strerror})") from error
    os.close(handle)
    return Path(name)


def _settle(temporary: Path, target: Path) -> None:
    """Data on disk first, then the name; with the permissions that a newly made file would have."""
    mask = os.umask(0)
    os.umask(mask)
    temporary.chmod(target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~mask)
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
    temporary.replace(target)
