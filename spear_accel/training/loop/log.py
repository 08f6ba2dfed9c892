"""Training metrics: means over a few steps, as JSON Lines always, and to a tracker (wandb, tensorboard) where asked.

Knows steps and numbers. Does not know what is trained.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from spear_accel.storage import files
from spear_accel.storage.json_lines import append_records, recovered_records

__all__ = ["MetricLog"]


class MetricLog:
    """Collects the metrics of each step and writes their means."""

    def __init__(
        self, path: Path | None, step: int, every: int, track: Callable[[dict[str, float], int], None]
    ) -> None:
        """Opens the log of a run that has reached `step`.

        Args:
            path: The JSONL file; None in a process that writes none. Lines past `step`, which a killed run wrote
                after its last checkpoint, are removed.
            step: Steps done.
            every: Steps over which the mean is taken.
            track: Also gets what is written: the metrics and their step.
        """
        self._path, self._every, self._track = path, every, track
        self._sums: dict[str, float] = defaultdict(float)
        self._counts: dict[str, int] = defaultdict(int)
        if path is not None and path.exists():
            kept = [record for _, record in recovered_records(path) if record.get("step", 0) <= step]
            files.write_lines(path, map(json.dumps, kept))

    def add(self, step: int, metrics: dict[str, float]) -> None:
        """Takes in the metrics of one step."""
        for key, value in metrics.items():
            self._sums[key] += value
            self._counts[key] += 1
        if step % self._every == 0:
            self.write(step, {key: total / self._counts[key] for key, total in self._sums.items()})
            self._sums.clear()
            self._counts.clear()

    def write(self, step: int, metrics: dict[str, float]) -> None:
        """Writes metrics at once."""
        if self._path is not None:
            append_records(self._path, [{"step": step, **{key: float(f"{x:.6g}") for key, x in metrics.items()}}])
        self._track(metrics, step)
