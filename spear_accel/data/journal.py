"""Finished records of a long job on disk: after a kill the same job goes on behind the last one.

Knows ids and where their records lie; keeps no record in memory. Does not know what a record means.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from spear_accel.storage.json_lines import append_records, recovered_records

__all__ = ["Journal"]


class Journal:
    """Records with an `id` in a JSONL file whose first line names the job."""

    def __init__(self, path: Path, job: Mapping[str, Any]) -> None:
        """Open the file of an earlier run of the same job; the file of another job is replaced.

        Args:
            path: The file.
            job: Everything that all records depend on, as JSON values.

        Raises:
            UserError: The file is damaged or cannot be written.
        """
        self.path = path
        self._offsets: dict[str, int] = {}
        header = None
        for offset, record in recovered_records(path):
            if header is None:
                header = record
            else:
                self._offsets[record["id"]] = offset
        if header != job:
            self.delete()
            append_records(path, [job])

    def __contains__(self, identity: str) -> bool:
        return identity in self._offsets

    def add(self, record: Mapping[str, Any]) -> None:
        """Append a record; it is on the disk when this returns. It replaces an earlier one of its id."""
        self._offsets[record["id"]] = append_records(self.path, [record])[0]

    def read(self, identities: Iterable[str]) -> Iterator[dict[str, Any]]:
        """The records of those ids that are there, in the order of the ids."""
        with self.path.open("rb") as file:
            for identity in identities:
                if identity in self._offsets:
                    file.seek(self._offsets[identity])
                    yield json.loads(file.readline())

    def delete(self) -> None:
        """Remove the file: the job is finished, or is another one."""
        self._offsets.clear()
        self.path.unlink(missing_ok=True)
