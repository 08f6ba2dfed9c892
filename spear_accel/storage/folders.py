"""Replaces a folder as a whole or not at all.

The new folder is built as `NAME.part` beside the old one. The old one is renamed to `NAME.previous`, the new one to
`NAME`, and the old one is removed. A kill between the two renames leaves `NAME.previous`, which `latest` and `recover`
find. Knows nothing about what the folders hold.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spear_accel.errors import UserError
from spear_accel.storage import files

__all__ = ["latest", "recover", "replacing"]


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yields an empty folder that takes the place of the folder `path` when the block ends well.

    When the block or the disk fails, the new folder is removed and `path` stays as it was. Where `path` is a symbolic
    link, the folder that it names is replaced.

    Raises:
        UserError: The folder beside `path` cannot be written, or the disk is full.
    """
    target = Path(os.path.realpath(path))
    building = _beside(target, "part")
    try:
        _remove(building)
        building.mkdir(parents=True)
        yield building
        _sync(building)
        _swap(building, target)
    except OSError as error:
        raise UserError(f"{path}: cannot write ({error.strerror or error}); nothing was left behind") from error
    finally:
        shutil.rmtree(building, ignore_errors=True)


def latest(path: str | Path) -> Path | None:
    """The folder `path`, or the one it was replacing when it was killed between the renames; None without either."""
    target = Path(path)
    found = (folder for folder in (target, _beside(Path(os.path.realpath(target)), "previous")) if folder.is_dir())
    return next(found, None)


def recover(path: str | Path) -> None:
    """Gives the folder `path` its name back after a kill between the two renames; else does nothing."""
    target = Path(os.path.realpath(path))
    previous = _beside(target, "previous")
    if previous.is_dir() and not target.exists():
        previous.rename(target)


def _beside(target: Path, ending: str) -> Path:
    return target.with_name(f"{target.name}.{ending}")


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def _sync(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            files.sync(path)


def _swap(building: Path, target: Path) -> None:
    recover(target)
    previous = _beside(target, "previous")
    _remove(previous)
    if target.exists():
        target.rename(previous)
    try:
        building.rename(target)
    except OSError:
        recover(target)
        raise
    shutil.rmtree(previous, ignore_errors=True)
