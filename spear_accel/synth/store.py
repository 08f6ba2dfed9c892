"""The output folder of a job: what is done, what failed, and what must be the same for going on.

A line is done when its record is in the manifest, which is written (and synced) after its files. So a kill at any
moment leaves finished lines, and at most files that the next run writes again with the same bytes. Records stay on the
disk: of a line that is done only its place is remembered. Knows no voice.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from spear_accel.storage import files
from spear_accel.storage.identity import claim
from spear_accel.storage.json_lines import append_records, recovered_records

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
        files.make_folder(own, "choose another -o")
        self._own = own
        advice = "choose another -o, or go on as it was begun"
        claim(folder / JOB, job, folder / MANIFEST, advice)
        self.done = {record["id"]: place for place, record in recovered_records(own / MANIFEST)}
        self.failed = {record["id"]: record for _, record in recovered_records(own / FAILED)}

    def add(self, record: Record) -> None:
        """A line is made; its files lie on the disk."""
        self.done[record["id"]] = append_records(self._own / MANIFEST, [record])[0]

    def fail(self, record: Record) -> None:
        """A line cannot be made."""
        append_records(self._own / FAILED, [record])
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


class Records:
    """The records of a manifest in its order, read anew each time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __iter__(self) -> Iterator[Record]:
        with self._path.open("rb") as file:
            yield from map(json.loads, file)


def _arrange(target: Path, sources: Sequence[Path], order: Mapping[str, int]) -> None:
    """The lines of all sources in `target`, in the order of the input; a line that stands there twice comes once."""
    found = {
        record["id"]: (order.get(record["id"], record.get("line", 0)), source, place)
        for source, path in enumerate(sources)
        for place, record in recovered_records(path)
    }
    with ExitStack() as opened, files.replacing(target) as temporary, temporary.open("wb") as file:
        held = [opened.enter_context(path.open("rb")) if path.exists() else None for path in sources]
        for _, source, place in sorted(found.values()):
            if (whence := held[source]) is not None:
                whence.seek(place)
                file.write(whence.readline())
