"""JSON Lines: manifests that are written whole or not at all, and records that are appended and survive a kill.

Knows lines and records. Does not know what a record means.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from spear_accel.errors import UserError
from spear_accel.storage import files

__all__ = ["append_records", "read_manifest", "recovered_records", "write_manifest"]

Record = dict[str, Any]


def read_manifest(path: Path | str, required: Iterable[str] = ()) -> list[Record]:
    """Reads the records of a JSONL file; blank lines are skipped.

    Raises:
        UserError: The file cannot be read, or a line is not a JSON object with the `required` keys.
    """
    path, required = Path(path), tuple(required)
    if not path.exists():
        raise UserError(f"{path}: no such file")
    try:
        with path.open("rb") as lines:
            numbered = [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    except OSError as error:
        raise UserError(f"{path}: cannot read ({error.strerror})") from error
    return [_record(line, f"{path}, line {number}", required) for number, line in numbered]


def write_manifest(path: Path | str, records: Iterable[Mapping[str, Any]]) -> int:
    """Writes records as JSONL, whole or not at all, and makes the folder; returns how many records there were."""
    path = Path(path)
    files.make_folder(path.parent, "write elsewhere")
    count = 0
    with files.writing(path) as out:
        for record in records:
            out.write(_line(record))
            count += 1
    return count


def append_records(path: Path | str, records: Iterable[Mapping[str, Any]]) -> list[int]:
    """Appends records to a JSONL file; they are on the disk when this returns.

    Returns:
        The byte offset of each record.

    Raises:
        UserError: The disk is full, or the file cannot be written; the file ends as before then.
    """
    lines = [_line(record) for record in records]
    start = None
    try:
        with Path(path).open("ab") as file:
            start = file.seek(0, os.SEEK_END)
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        if start is not None:
            with suppress(OSError):
                os.truncate(path, start)
        reason = error.strerror or error
        raise UserError(f"{path}: cannot write ({reason}); fix that and rerun the same command to resume") from error
    offsets = [start]
    for line in lines[:-1]:
        offsets.append(offsets[-1] + len(line))
    return offsets[: len(lines)]


def recovered_records(path: Path | str, required: tuple[str, ...] = ()) -> Iterator[tuple[int, Record]]:
    """Yields the byte offset and the record of each line of a file that `append_records` filled; none without a file.

    What a kill left of the last line is cut off the file when the iteration ends.

    Raises:
        UserError: A line before the last one is damaged or lacks a `required` key, or the file cannot be read.
    """
    path = Path(path)
    if not path.exists():
        return
    offset = 0
    try:
        with path.open("rb") as lines:
            size = os.fstat(lines.fileno()).st_size
            for number, line in enumerate(lines, start=1):
                last = offset + len(line) == size
                if last and not _is_whole(line):
                    break
                yield offset, _record(line, f"{path}, line {number}", required)
                offset += len(line)
    except OSError as error:
        raise UserError(f"{path}: cannot read ({error.strerror}); restore the file") from error
    if offset < path.stat().st_size:
        os.truncate(path, offset)


def _line(record: Mapping[str, Any]) -> bytes:
    return (json.dumps(record, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")


def _is_whole(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return line.endswith(b"\n")


def _record(line: bytes, place: str, required: tuple[str, ...]) -> Record:
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
