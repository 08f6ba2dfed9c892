"""Packages as pip leaves them in a folder of packages, for tests of entry points."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

__all__ = ["install"]


def install(
    site: Path, monkeypatch: pytest.MonkeyPatch, files: Mapping[str, str], entries: Mapping[str, Mapping[str, str]]
) -> None:
    """Put a package on the path for the length of a test.

    Args:
        site: Folder of packages; a new one for every test.
        monkeypatch: Of the test.
        files: Contents by path.
        entries: By entry point group, values by name.
    """
    for name, content in files.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(content, encoding="utf-8")
    info = site / "plugged-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugged\nVersion: 1.0\n")
    lines = [line for group, named in entries.items() for line in (f"[{group}]", *map(" = ".join, named.items()))]
    (info / "entry_points.txt").write_text("\n".join([*lines, ""]))
    monkeypatch.syspath_prepend(site)
    for module in {name.split("/")[0].removesuffix(".py") for name in files}:
        for loaded in [name for name in sys.modules if name.split(".")[0] == module]:
            monkeypatch.delitem(sys.modules, loaded)
