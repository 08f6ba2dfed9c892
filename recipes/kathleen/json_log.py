"""A JSONL file that grows by one record at a time and survives a kill: what is finished stays finished.

Knows files. Does not know what the records say.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spear_accel.storage.json_lines import read_manifest

__all__ = ["JsonLog"]


class JsonLog:
    """Records by their ``id``, each appended and synced to the disk before `append` returns."""

    def __init__(self, path: Path) -> None:
        """Read what is there; a last line that a kill cut short is removed.

        Raises:
            UserError: A whole line is not a JSON object with an ``id``.
        """
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        _drop_torn_line(path)
        found = read_manifest(path, ("id",)) if path.exists() else []
        self.records: dict[str, dict[str, Any]] = {str(record["id"]): record for record in found}

    def __contains__(self, id: object) -> bool:
        return id in self.records

    def append(self, record: Mapping[str, Any]) -> None:
        """Add one record; a later record of the same id takes the place of an earlier one."""
        with self.path.open("a", encoding="utf-8") as out:
            out.write(json.dumps(record, ensure_ascii=False) + "\n")
            out.flush()
            os.fsync(out.fileno())
        self.records[str(record["id"])] = dict(record)


def _drop_torn_line(path: Path) -> None:
    if not path.exists():
        return
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(path, whole)
