"""The output folder of a job: what is done, what failed, and what must be the same for going on.

A line is done when its record is in the manifest, which is written (and synced) after its files. So a kill at any
moment leaves finished lines, and at most files that the next run writes again with the same bytes. Knows no voice.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from spear_accel.errors import UserError
from spear_accel.io import files

__all__ = ["Store"]

JOB, MANIFEST, FAILED = "job.json", "manifest.jsonl", "failed.jsonl"
_SHARDS = ".shards"

Record = dict[str, Any]


class Store:
    """One shard's part of an output folder; the whole of it where there is one shard."""

    def __init__(self, folder: Path, job: Mapping[str, Any], shard: tuple[int, int]) -> None:
        """job: what all records depend on.

        Raises:
            UserError: The folder holds another job (what differs is named), or cannot be written to.
        """
        self.folder, self.shard = folder, shard
        own = folder if shard[1] == 1 else folder / _SHARDS / f"{shard[0]}-of-{shard[1]}"
        try:
            own.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{own}: cannot make this folder ({error.strerror}); choose another -o") from error
        self._own = own
        self._check(job)
        self.done = {record["id"]: record for record in _whole_lines(own / MANIFEST)}
        self.failed = {record["id"]: record for record in _whole_lines(own / FAILED)}

    def add(self, record: Record) -> None:
        """A line is made; its files lie on the disk."""
        _append(self._own / MANIFEST, record)
        self.done[record["id"]] = record

    def fail(self, record: Record) -> None:
        """A line cannot be made."""
        _append(self._own / FAILED, record)
        self.failed[record["id"]] = record

    def forget_failed(self) -> dict[str, int]:
        """Failed lines are to be tried again. Returns how often they were tried, by id."""
        tried = {id: int(record["attempts"]) for id, record in self.failed.items()}
        (self._own / FAILED).unlink(missing_ok=True)
        self.failed = {}
        return tried

    def finish(self, order: Mapping[str, int]) -> list[Record] | None:
        """Put the records of a finished shard in the order of the input.

        Returns the records of the whole job once every shard of it is finished, else None.
        """
        _write_lines(self._own / MANIFEST, _sorted(self.done.values(), order))
        _write_lines(self._own / FAILED, _sorted(self.failed.values(), order))
        if self.shard[1] == 1:
            return _sorted(self.done.values(), order)
        files.write_text(self._own / "finished", "")
        parts = [self.folder / _SHARDS / f"{number}-of-{self.shard[1]}" for number in range(1, self.shard[1] + 1)]
        if not all((part / "finished").exists() for part in parts):
            return None
        joined = {
            name: [record for part in parts for record in _whole_lines(part / name)] for name in (MANIFEST, FAILED)
        }
        for name, records in joined.items():
            _write_lines(self.folder / name, _sorted(records, order))
        return _sorted(joined[MANIFEST], order)

    def _check(self, job: Mapping[str, Any]) -> None:
        path = self.folder / JOB
        if path.exists():
            held = files.read_json(path)
            differing = ", ".join(name for name in job if held.get(name) != job[name])
            if differing:
                raise UserError(
                    f"{self.folder}: holds a job with another {differing}; choose another -o, or go on as it was begun"
                )
            return
        if (self.folder / MANIFEST).exists():
            raise UserError(f"{path}: is missing beside a manifest; choose another -o")
        files.write_json(path, dict(job))


def _sorted(records: Iterable[Record], order: Mapping[str, int]) -> list[Record]:
    return sorted(records, key=lambda record: order.get(record["id"], record.get("line", 0)))


def _append(path: Path, record: Record) -> None:
    """One line, on the disk when this returns."""
    try:
        with path.open("ab") as file:
            file.write(_line(record))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise UserError(f"{path}: cannot write ({error.strerror}); mend that, and the same command goes on") from error


def _write_lines(path: Path, records: Iterable[Record]) -> None:
    files.write_bytes(path, b"".join(map(_line, records)))


def _line(record: Record) -> bytes:
    return (json.dumps(record, ensure_ascii=False) + "\n").encode()


def _whole_lines(path: Path) -> list[Record]:
    """The records of a file, from which a line that a kill cut short is taken away."""
    if not path.exists():
        return []
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        files.write_bytes(path, whole)
    return [json.loads(line) for line in whole.splitlines()]
