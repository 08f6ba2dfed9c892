"""Tasks by a pool of Ray actors, on one machine or many, each actor with the voice of its own.

Ray replaces actors that die and does their tasks again. Needs the extra ``ray``. Knows no folder and no format: what is
made comes back to the caller, which alone writes.
"""

from __future__ import annotations

import logging
import pickle
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from spear_accel.errors import UserError
from spear_accel.synth.making import MakeOptions, Maker, Outcome, Task
from spear_accel.synth.memory import hold_memory

__all__ = ["by_ray", "check_ray"]


def check_ray() -> None:
    """Raises UserError where Ray is not installed."""
    try:
        import ray.data  # noqa: F401
    except ImportError as error:
        raise UserError(f"--engine ray needs Ray ({error}); pip install 'spear-accel[ray]'") from error


def by_ray(tasks: Sequence[Task], options: MakeOptions, count: int) -> Iterator[Outcome]:
    """Every line of all tasks once, by `count` actors of the cluster that Ray is told of, or of one on this machine.

    Raises:
        UserError: Ray is not installed, or actors fail.
    """
    check_ray()
    import ray
    import ray.data
    import ray.exceptions

    if not ray.is_initialized():
        ray.init(log_to_driver=False, logging_level=logging.WARNING)
    ray.data.DataContext.get_current().enable_progress_bars = False
    rows = [{"task": pickle.dumps(task)} for task in tasks]
    waiting = ray.data.from_items(rows, override_num_blocks=len(rows))
    made = waiting.map_batches(
        _Actor, fn_constructor_args=(options,), batch_size=1, num_cpus=1,
        num_gpus=1 if options.device.startswith("cuda") else 0,
        compute=ray.data.ActorPoolStrategy(size=min(count, len(rows))),
    )  # fmt: skip
    try:
        for row in made.iter_rows():
            yield pickle.loads(row["outcome"])
    except ray.exceptions.RayError as error:
        # Ray's own account is long and names no mend; its last line is what the actor raised.
        last = str(error).strip().splitlines()[-1]
        raise UserError(f"--engine ray: {last}; see Ray's logs; mend that, and the same command goes on") from error


class _Actor:
    """One worker of the pool."""

    def __init__(self, options: MakeOptions) -> None:
        hold_memory()
        self.maker = Maker(options)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """All outcomes of one task, in the order of its lines.

        Ray takes the blocks of a task that it does again for those it has by their numbers alone, so they must come in
        one order, whatever was ready first.
        """
        task: Task = pickle.loads(batch["task"][0])
        outcomes = sorted(self.maker.make([task]), key=lambda one: one.line.number)
        made = np.empty(len(outcomes), dtype=object)
        made[:] = [pickle.dumps(outcome) for outcome in outcomes]
        return {"outcome": made}
