"""Voice folders that are written as a whole or not at all: copies here, imports elsewhere."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spear_accel.errors import UserError
from spear_accel.storage import folders
from spear_accel.voice.folder import CARD, README, VoiceFolder, seal

__all__ = ["building", "check_free", "copy_voice"]


def check_free(folder: str | Path) -> None:
    """Check that a voice can be written to a folder.

    Raises:
        UserError: The folder holds something, or its parent is missing.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        what = "holds a voice" if (folder / CARD).exists() else "is there"
        raise UserError(f"{folder}: {what} already; choose another -o, or delete it")
    if not folder.resolve().parent.is_dir():
        raise UserError(f"{folder.parent}: no such folder; make it first or write elsewhere")


@contextmanager
def building(folder: Path) -> Iterator[Path]:
    """Yields a new folder that becomes `folder` if the block succeeds, and is removed if it fails."""
    check_free(folder)
    with folders.replacing(folder) as place:
        yield place


def copy_voice(source: VoiceFolder, folder: str | Path) -> VoiceFolder:
    """Copy a whole voice with its card, which keeps its name and origin.

    Raises:
        UserError: A file of `source` is damaged, or `folder` holds something already.
    """
    source.verify()
    with building(Path(folder)) as place:
        for name in source.card.files:
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source.path / name, place / name)
        if (source.path / README).is_file():
            shutil.copyfile(source.path / README, place / README)
        sealed = seal(place, source.card)
    return VoiceFolder(Path(folder), sealed.card)
