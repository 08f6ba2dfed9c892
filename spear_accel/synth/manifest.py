"""The manifest of a dataset: which lines are made, which failed, and what job the folder belongs to.

A line is made when its record is in the manifest, which is written (and synced) after the line's files. So a kill at
any moment leaves finished lines, and at most files that the next run writes again with the same bytes. Of a line only
its number is kept in memory. Knows no voice.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from spear_accel.errors import UserError
from spear_accel.storage import files
from spear_accel.storage.identity import claim
from spear_accel.storage.json_lines import append_records, recovered_records

__all__ = ["LOCK", "Manifest", "Records", "check_folder", "own_folder"]

JOB, MANIFEST, FAILED = "job.json", "manifest.jsonl", "failed.jsonl"
_SHARDS, LOCK = ".shards", ".lock"
_OWN = (JOB, MANIFEST, FAILED, _SHARDS, LOCK)

Record = dict[str, Any]
"""Of one line; its key `line` is the number of the line in the input."""


def own_folder(folder: Path, shard: tuple[int, int]) -> Path:
    """Where a shard keeps its records: in the dataset's folder if there is one shard."""
    return folder if shard[1] == 1 else folder / _SHARDS / f"{shard[0]}-of-{shard[1]}"


def check_folder(folder: Path) -> None:
    """Refuse a folder that holds something, but no job: what is in it is somebody else's.

    Raises:
        UserError: There is anything but a job's own files in the folder.
    """
    if not folder.is_dir() or (folder / JOB).exists():
        return
    strange = sorted(path.name for path in folder.iterdir() if path.name not in _OWN and files.PART not in path.name)
    if strange:
        raise UserError(
            f"{folder}: holds {strange[0]!r} and no job of synth; what is in it is not touched. Choose a new -o FOLDER"
        )


class Manifest:
    """The records of one shard; of the whole dataset if there is one shard."""

    def __init__(self, folder: Path, job: Mapping[str, Any], shard: tuple[int, int]) -> None:
        """Opens the manifest in `folder`, or starts one.

        Args:
            folder: Of the dataset.
            job: Everything that the records depend on, JSON values by name.
            shard: Which, from 1, of how many.

        Raises:
            UserError: The folder holds another job (every difference is named), or cannot be written to.
        """
        self.folder, self.shard, self._own = folder, shard, own_folder(folder, shard)
        files.make_folder(self._own, "choose another -o")
        claim(folder / JOB, job, folder / MANIFEST, "choose another -o, or give the options of the first run")
        self.made = {int(record["line"]) for record in _records(self._own / MANIFEST, ("line", "id"))}
        """Numbers of lines."""
        failed = _records(self._own / FAILED, ("line", "attempts"))
        self.failed = {int(record["line"]): int(record["attempts"]) for record in failed}
        """Attempts at lines that failed, by the line's number."""

    def add(self, record: Record) -> None:
        """Records a line whose files are on the disk."""
        append_records(self._own / MANIFEST, [record])
        self.made.add(record["line"])

    def fail(self, record: Record) -> None:
        """Records a line that cannot be made; its record has `attempts`."""
        append_records(self._own / FAILED, [record])
        self.failed[record["line"]] = record["attempts"]

    def forget_failed(self) -> Mapping[int, int]:
        """Deletes the records of failed lines, for another try; returns the attempts at each, by the line's number."""
        (self._own / FAILED).unlink(missing_ok=True)
        attempts, self.failed = self.failed, {}
        return attempts

    def finish(self) -> Records | None:
        """Puts the records of a finished shard in the order of the input.

        Returns:
            The records of the whole dataset once every shard of it is finished, else None.
        """
        for name in (MANIFEST, FAILED):
            _merge([self._own / name], self._own / name)
        if self.shard[1] == 1:
            return Records(self._own / MANIFEST)
        files.write_text(self._own / "finished", "")
        shards = [self.folder / _SHARDS / f"{number}-of-{self.shard[1]}" for number in range(1, self.shard[1] + 1)]
        if not all((shard / "finished").exists() for shard in shards):
            return None
        for name in (MANIFEST, FAILED):
            _merge([shard / name for shard in shards], self.folder / name)
        return Records(self.folder / MANIFEST)


class Records:
    """The records of a manifest in its order, read from the disk each time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __iter__(self) -> Iterator[Record]:
        with self._path.open("rb") as file:
            yield from map(json.loads, file)


def _records(path: Path, needed: tuple[str, ...]) -> Iterator[Record]:
    """The records of an earlier run. Raises UserError naming file and line where one is damaged."""
    for place, (_, record) in enumerate(recovered_records(path, needed), start=1):
        for name in {"line", "attempts"} & set(needed):
            if not isinstance(record[name], int):
                raise UserError(
                    f"{path}, line {place}: {name} is no whole number; restore the file, or choose another -o"
                )
        yield record


def _merge(sources: Sequence[Path], target: Path) -> None:
    """Writes the records of all sources to `target`, one a line of the input and in its order."""
    places = {
        record["line"]: (source, offset)
        for source, path in enumerate(sources)
        for offset, record in recovered_records(path, ("line",))
    }
    with ExitStack() as opened, files.writing(target) as merged:
        inputs = [opened.enter_context(path.open("rb")) if path.exists() else None for path in sources]
        for _, (source, offset) in sorted(places.items()):
            if (file := inputs[source]) is not None:
                file.seek(offset)
                merged.write(file.readline())
