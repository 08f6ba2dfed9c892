"""Manifests: JSONL files with one record a line, written whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from spear_accel.errors import UserError

__all__ = ["read_manifest", "write_manifest"]


def read_manifest(path: Path | str, required: Iterable[str] = ()) -> list[dict[str, Any]]:
    """The records of a JSONL file; blank lines are passed over.

    Raises:
        UserError: The file is missing, or a line is not a JSON object with the ``required`` keys.
    """
    path, required = Path(path), tuple(required)
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    records = []
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                records.append(_record(line, f"{path}, line {number}", required))
    return records


def write_manifest(path: Path | str, records: Iterable[Mapping[str, Any]]) -> int:
    """Write records as JSONL through a temporary file; returns how many there were."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    count = 0
    with temporary.open("w", encoding="utf-8") as out:
        for record in records:
            out.write(json.dumps(record, ensure_ascii=False) + "\n")
            count += 1
    os.replace(temporary, path)
    return count


def _record(line: str, place: str, required: tuple[str, ...]) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except ValueError as error:
        raise UserError(f"{place}: not JSON ({error})") from error
    if not isinstance(record, dict):
        raise UserError(f"{place}: expected a JSON object, found {type(record).__name__}")
    missing = [key for key in required if key not in record]
    if missing:
        raise UserError(f"{place}: lacks {', '.join(missing)}")
    return record
