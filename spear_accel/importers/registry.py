"""Finds importers by the name of their layout: those of this package and those of installed packages.

A package brings an importer by an entry point in the group `spear_accel.importers` whose value is an `Importer`
(docs/import.md). An importer is imported only when somebody asks for its layout.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from spear_accel.errors import UserError
from spear_accel.importers.base import Imported, Importer, ImportOptions
from spear_accel.importers.torch_pickle import read_pickle
from spear_accel.storage.entry_points import load_entry, package_of

__all__ = ["GROUP", "find_importer", "layouts", "load"]

GROUP = "spear_accel.importers"
_BUILT_IN = {
    "hugging-face": "spear_accel.importers.hugging_face:IMPORTER",
    "spear-tts-pytorch": "spear_accel.importers.spear_tts_pytorch:IMPORTER",
    "whisperspeech": "spear_accel.importers.whisperspeech:IMPORTER",
}


def load(path: str | Path, layout: str | None = None, options: ImportOptions | None = None) -> Imported:
    """Read a checkpoint of another package.

    Args:
        path: The checkpoint: a file or, for some layouts, a folder or a name from which it is downloaded. Nothing in it
            is executed.
        layout: Name of its layout, one of `layouts()`; None finds it from the content.
        options: What the file does not say.

    Raises:
        UserError: No such file or layout, a damaged file, a file of another model, or an option that the layout does
            not use.
    """
    options, importer = options or ImportOptions(), None if layout is None else find_importer(layout)
    if importer is not None:
        importer.check(options)
    path = _local(path, importer)
    if not path.exists():
        raise UserError(f"{path}: no such file; give the checkpoint that the other package wrote")
    importer = importer or _recognised(path)
    importer.check(options)
    return importer.load(path, options)


def _local(path: str | Path, importer: Importer | None) -> Path:
    """The path, or what a layout downloads by that name."""
    if importer is None or importer.fetch is None or Path(path).exists():
        return Path(path)
    return importer.fetch(str(path)) or Path(path)


def layouts() -> list[str]:
    """Names of all layouts that can be imported, sorted; no importer is imported."""
    return sorted({*_BUILT_IN, *(entry.name for entry in entry_points(group=GROUP))})


def find_importer(layout: str) -> Importer:
    """The importer of a layout. Those of this package win over an installed package's of the same name.

    Raises:
        UserError: No such layout, or its package is broken.
    """
    if layout in _BUILT_IN:
        entry = EntryPoint(name=layout, value=_BUILT_IN[layout], group=GROUP)
    else:
        found = list(entry_points(group=GROUP, name=layout))
        if not found:
            raise UserError(f"{layout}: no such layout; choose one of {', '.join(layouts())}")
        entry = found[0]
    importer = load_entry(entry, f"importer {layout!r}")
    if not isinstance(importer, Importer):
        raise UserError(f"importer {layout!r}: {entry.value} is no Importer; fix or remove {package_of(entry)}")
    return importer


def _recognised(path: Path) -> Importer:
    """The first importer that recognises the content of a path."""
    for layout in layouts():
        importer = find_importer(layout)
        if importer.recognises(path):
            return importer
    if path.is_file():
        read_pickle(path)  # Says what the file is, if it is no checkpoint at all.
    raise UserError(f"{path}: of no layout that this release knows ({', '.join(layouts())})")
