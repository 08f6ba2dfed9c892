"""Voices that other packages bring by the entry point group `spear_accel.voices`: name -> a package that is a voice.

The entry point's value is the import path of a package beside whose `__init__.py` lies `voice.json`. Knows neither
the shipped voices nor what a voice folder holds.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from spear_accel.errors import UserError
from spear_accel.storage.entry_points import load_entry, package_of

__all__ = ["GROUP", "plugged_names", "plugged_voice"]

GROUP = "spear_accel.voices"


def plugged_names() -> list[str]:
    """Names of the voices that installed packages bring, sorted; nothing is imported."""
    return sorted({entry.name for entry in entry_points(group=GROUP)})


def plugged_voice(name: str) -> Path | None:
    """The folder of the voice that a package brings under `name`; None where none does.

    Raises:
        UserError: The package cannot be imported, or is no folder.
    """
    found = list(entry_points(group=GROUP, name=name))
    if not found:
        return None
    entry = found[0]
    package = load_entry(entry, f"voice {name!r}")
    folders = list(package.__path__) if isinstance(package, ModuleType) and hasattr(package, "__path__") else []
    if not folders:
        raise UserError(
            f"voice {name!r}: the entry point {entry.value} is no package with a folder; "
            f"fix or remove {package_of(entry)}"
        )
    return Path(folders[0])
