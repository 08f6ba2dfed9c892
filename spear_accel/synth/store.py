"""The output folder of a job: what is done, what failed, and what must be the same for going on.

A line is done when its record is in the manifest, which is written (and synced) after its files. So a kill at any
moment leaves finished lines, and at most files that the next run writes again with the same bytes. Records stay on the
disk: of a line that is done only its place is remembered. Knows no voice.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from spear_accel.errors import UserError
from spear_accel.storage import files

__all__ = ["Records", "Store"]

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
        self.done = {record["id"]: place for place, record in _placed(own / MANIFEST)}
        self.failed = {record["id"]: record for _, record in _placed(own / FAILED)}

    def add(self, record: Record) -> None:
        """A line is made; its files lie on the disk."""
        self.done[record["id"]] = _append(self._own / MANIFEST, record)

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

    def finish(self, order: Mapping[str, int]) -> Records | None:
        """Put the records of a finished shard in the order of the input.

        Returns the records of the whole job once every shard of it is finished, else None.
        """
        for name in (MANIFEST, FAILED):
            _arrange(self._own / name, [self._own / name], order)
        if self.shard[1] == 1:
            return Records(self._own / MANIFEST)
        files.write_text(self._own / "finished", "")
        parts = [self.folder / _SHARDS / f"{number}-of-{self.shard[1]}" for number in range(1, self.shard[1] + 1)]
        if not all((part / "finished").exists() for part in parts):
            return None
        for name in (MANIFEST, FAILED):
            _arrange(self.folder / name, [part / name for part in parts], order)
        return Records(self.folder / MANIFEST)

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


class Records:
    """The records of a manifest in its order, read anew each time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __iter__(self) -> Iterator[Record]:
        with self._path.open("rb") as file:
            yield from map(json.loads, file)


def _append(path: Path, record: Record) -> int:
    """One line, on the disk when this returns. Returns where it stands."""
    try:
        with path.open("ab") as file:
            place = file.seek(0, os.SEEK_END)
            file.write((json.dumps(record, ensure_ascii=False) + "\n").encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise UserError(f"{path}: cannot write ({error.strerror}); mend that, and the same command goes on") from error
    return place


def _arrange(target: Path, sources: Sequence[Path], order: Mapping[str, int]) -> None:
    """The lines of all sources in `target`, in the order of the input; a line that stands there twice comes once."""
    found = {
        record["id"]: (order.get(record["id"], record.get("line", 0)), source, place)
        for source, path in enumerate(sources)
        for place, record in _placed(path)
    }
    with ExitStack() as opened, files.replacing(target) as temporary, temporary.open("wb") as file:
        held = [opened.enter_context(path.open("rb")) if path.exists() else None for path in sources]
        for _, source, place in sorted(found.values()):
            if (whence := held[source]) is not None:
                whence.seek(place)
                file.write(whence.readline())


def _placed(path: Path) -> Iterator[tuple[int, Record]]:
    """The records of a file and where each stands. A line at its end that a kill cut short is taken away."""
    if not path.exists():
        return
    place = 0
    with path.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                break
            yield place, json.loads(line)
            place += len(line)
    if place < path.stat().st_size:
        os.truncate(path, place)
