"""What an acceleration has decided and how long it has worked, so that the same command goes on where it stopped."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from spear_accel.storage import files
from spear_accel.storage.identity import check_same

__all__ = ["JobState"]

_FILE = "accelerate.json"


class JobState:
    """A small JSON file in the working folder."""

    def __init__(self, folder: Path, job: Mapping[str, Any]) -> None:
        """`job`: what must be the same for going on.

        Raises UserError where the folder belongs to another job, or cannot be made.
        """
        self.path = folder / _FILE
        files.make_folder(folder, "choose another --work")
        held = files.read_json(self.path) if self.path.exists() else {"job": dict(job), "decided": {}, "seconds": {}}
        check_same(held["job"], job, folder, "choose another --work, or delete it")
        self._held = held
        self._save()

    @property
    def seconds(self) -> dict[str, float]:
        """Spent by step, earlier runs included."""
        return dict(self._held["seconds"])

    def decided(self, name: str) -> Any:
        """What `decide` was told, or None."""
        return self._held["decided"].get(name)

    def decide(self, name: str, value: Any) -> Any:
        self._held["decided"][name] = value
        self._save()
        return value

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        """Counts the time of a step, also where it is broken off."""
        started = time.monotonic()
        try:
            yield
        finally:
            spent = self._held["seconds"].get(step, 0.0) + time.monotonic() - started
            self._held["seconds"][step] = round(spent, 2)
            self._save()

    def _save(self) -> None:
        files.write_json(self.path, self._held)
