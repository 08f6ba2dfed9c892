"""Lines made by a pool of Ray actors, on one machine or many, each actor with voices of its own.

Ray replaces actors that die and repeats their chunks. Needs the extra `ray`. Knows no folder and no format: results
come back to the caller, which alone writes.
"""

from __future__ import annotations

import logging
import pickle
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from spear_accel.errors import UserError
from spear_accel.synth.chunks import large_chunks
from spear_accel.synth.line_job import LineJob
from spear_accel.synth.worker import LineResult, WorkerOptions, start_worker

__all__ = ["RayExecutor"]


class RayExecutor:
    """Makes lines in `workers` actors of the cluster that Ray is told of, or of one on this machine; see `Executor`."""

    def __init__(self, options: WorkerOptions, batch_size: int, workers: int) -> None:
        """Raises UserError: Ray is not installed."""
        try:
            import ray.data  # noqa: F401
        except ImportError as error:
            raise UserError(f"--engine ray needs Ray ({error}); pip install 'spear-accel[ray]'") from error
        self._options, self._batch_size, self._workers = options, batch_size, workers

    def run(self, jobs: Iterable[LineJob]) -> Iterator[LineResult]:
        """See `Executor`."""
        import ray
        import ray.data
        import ray.exceptions

        if not ray.is_initialized():
            ray.init(log_to_driver=False, logging_level=logging.WARNING)
        ray.data.DataContext.get_current().enable_progress_bars = False
        rows = [{"chunk": pickle.dumps(chunk)} for chunk in large_chunks(jobs, self._batch_size, self._workers)]
        if not rows:
            return
        results = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
            _Actor,
            fn_constructor_args=(self._options,),
            batch_size=1,
            num_cpus=1,
            num_gpus=1 if self._options.device.startswith("cuda") else 0,
            compute=ray.data.ActorPoolStrategy(size=min(self._workers, len(rows))),
        )
        try:
            for row in results.iter_rows():
                yield pickle.loads(row["result"])
        except ray.exceptions.RayError as error:
            # Ray's own account is long and names no remedy; its last line is what the actor raised.
            last = str(error).strip().splitlines()[-1]
            message = f"--engine ray: {last}; see Ray's logs, fix that and rerun the same command to resume"
            raise UserError(message) from error


class _Actor:
    """One worker of the pool."""

    def __init__(self, options: WorkerOptions) -> None:
        self.worker = start_worker(options)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Makes one chunk; results come in the order of its lines.

        When Ray repeats a chunk, it knows the blocks that it has already by their numbers alone, so results must come
        in one order, whichever line finished first.
        """
        chunk = pickle.loads(batch["chunk"][0])
        results = sorted(self.worker.make([chunk]), key=lambda result: result.line.number)
        pickled = np.empty(len(results), dtype=object)
        pickled[:] = [pickle.dumps(result) for result in results]
        return {"result": pickled}
