"""Which program made a file: version, git commit and arguments, without a path of the machine.

Knows the installed package and its checkout. Does not know what is made.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import spear_accel

__all__ = ["commit", "provenance"]


def provenance(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What made a file, as JSON values.

    Args:
        arguments: Options or settings by name. Of absolute paths only the last name is kept.

    Returns:
        `version`, `commit` (None unless run from a checkout) and `arguments`.
    """
    return {"version": spear_accel.__version__, "commit": commit(), "arguments": _portable(arguments)}


@lru_cache(maxsize=1)
def commit() -> str | None:
    """The git commit of the checkout that this package runs from, with `-dirty` if tracked files differ from it.

    None if the package is installed, or git is missing.
    """
    root = Path(spear_accel.__file__).resolve().parents[1]
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--exclude=*", "--abbrev=40"]
    try:
        described = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return None
    return described.stdout.strip() or None


def _portable(value: Any) -> Any:
    """`value` as JSON: mappings, lists and plain values; an absolute path shortened to its last name."""
    if isinstance(value, Mapping):
        return {str(key): _portable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_portable(item) for item in value]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    text = os.fspath(value) if isinstance(value, os.PathLike) else str(value)
    return Path(text).name if os.path.isabs(os.path.expanduser(text)) else text
