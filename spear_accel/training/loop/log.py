"""Training metrics: means over a few steps to JSONL always, and to wandb or tensorboard where asked."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from accelerate import Accelerator

    from spear_accel.training.loop.trainer import LoopConfig

__all__ = ["MetricLog"]


class MetricLog:
    """Collects the metrics of each step and writes their means every ``config.log_every`` steps."""

    def __init__(self, folder: Path, accelerator: Accelerator, config: LoopConfig, step: int) -> None:
        self._accelerator = accelerator
        self._every = config.log_every
        self._sums: dict[str, float] = defaultdict(float)
        self._counts: dict[str, int] = defaultdict(int)
        self._file: TextIO | None = None
        if accelerator.is_main_process:
            self._file = _open_at(folder / "log.jsonl", step)
        if config.trackers:
            plain = {key: value for key, value in asdict(config).items() if isinstance(value, int | float | str)}
            accelerator.init_trackers(folder.name, config=plain)

    def add(self, step: int, metrics: dict[str, float]) -> None:
        """Take in the metrics of one step."""
        for key, value in metrics.items():
            self._sums[key] += value
            self._counts[key] += 1
        if step % self._every == 0:
            self.write(step, {key: total / self._counts[key] for key, total in self._sums.items()})
            self._sums.clear()
            self._counts.clear()

    def write(self, step: int, metrics: dict[str, float]) -> None:
        """Write metrics at once."""
        if self._file is not None:
            record = {"step": step, **{key: float(f"{value:.6g}") for key, value in metrics.items()}}
            self._file.write(json.dumps(record) + "\n")
            self._file.flush()
        self._accelerator.log(metrics, step=step)

    def close(self) -> None:
        """Flush and close everything."""
        if self._file is not None:
            self._file.close()
        self._accelerator.end_training()


def _open_at(path: Path, step: int) -> TextIO:
    """Open the log for appending, without the lines that a killed run wrote past its last checkpoint."""
    if path.exists():
        kept = [line for line in path.read_text().splitlines() if _step_of(line) <= step]
        path.write_text("".join(line + "\n" for line in kept))
    return path.open("a")


def _step_of(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError):
        return float("inf")
