"""Where the lines of a job are made: in this process, in several, or in Ray's actors. Knows no folder and no format."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Protocol

import torch

from spear_accel.synth.chunks import Chunk, small_chunks
from spear_accel.synth.line_job import LineJob
from spear_accel.synth.process_executor import ProcessExecutor
from spear_accel.synth.ray_executor import RayExecutor
from spear_accel.synth.worker import LineResult, Worker, WorkerOptions

__all__ = ["ENGINES", "Executor", "InProcessExecutor", "make_executor"]

ENGINES = ("local", "ray")


class Executor(Protocol):
    """Makes lines."""

    def run(self, jobs: Iterable[LineJob]) -> Iterator[LineResult]:
        """Makes each line once, in whatever order, and forgets it.

        Raises:
            UserError: A voice cannot be loaded, or workers fail.
        """


class InProcessExecutor:
    """Makes lines in the calling process, which computes with one thread until all are made."""

    def __init__(self, options: WorkerOptions, batch_size: int) -> None:
        self._options, self._batch_size = options, batch_size

    def run(self, jobs: Iterable[LineJob]) -> Iterator[LineResult]:
        """See `Executor`."""
        chunks = deque(small_chunks(jobs, self._batch_size, 1))
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield from Worker(self._options).make(_drain(chunks))
        finally:
            torch.set_num_threads(threads)


def make_executor(engine: str, options: WorkerOptions, batch_size: int, workers: int) -> Executor:
    """The executor of an engine (one of `ENGINES`).

    Raises:
        UserError: The engine needs a package that is not installed.
    """
    if engine == "ray":
        return RayExecutor(options, batch_size, workers)
    return InProcessExecutor(options, batch_size) if workers == 1 else ProcessExecutor(options, batch_size, workers)


def _drain(chunks: deque[Chunk]) -> Iterator[Chunk]:
    """Lets go of each chunk when the next is asked for, so that no line is kept with its tokens."""
    while chunks:
        yield chunks.popleft()
