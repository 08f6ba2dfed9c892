"""Tasks by several processes of this machine, each with the voice of its own. A worker that dies is replaced.

Each has a pipe to the parent: a shared queue could be left locked by a worker that is killed while it writes. What a
dead worker had handed over is kept, the rest of its task is given out again. Knows no folder and no format.
"""

from __future__ import annotations

import multiprocessing
import signal
import traceback
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from spear_accel.errors import UserError
from spear_accel.synth.making import MakeOptions, Maker, Outcome, Task

__all__ = ["by_processes"]

_SPAWN = multiprocessing.get_context("spawn")
_MOST_DEATHS = 3
"""Of workers in a row, no line made between them: then it is no accident."""


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    task: Task | None = None
    ready: set[str] = field(default_factory=set)
    """Ids of the lines of `task` that have come."""


@dataclass(frozen=True)
class _Done:
    """A task is finished."""


@dataclass(frozen=True)
class _Broken:
    """A task cannot be done: the text of the error, and whether it is one that the user can mend."""

    told: str
    mendable: bool


def by_processes(tasks: Sequence[Task], options: MakeOptions, count: int) -> Iterator[Outcome]:
    """Every line of all tasks once, in whatever order, by at most `count` processes.

    Raises:
        UserError: What a worker raised, or that workers die one after the other.
    """
    pool = _Pool(deque(tasks), options)
    try:
        for _ in range(min(count, len(tasks))):
            pool.start()
        while pool.workers:
            yield from pool.step()
    finally:
        pool.stop()


class _Pool:
    def __init__(self, waiting: deque[Task], options: MakeOptions) -> None:
        self.waiting, self.options = waiting, options
        self.workers: list[_Worker] = []
        self.deaths = 0

    def start(self) -> None:
        """One more worker, with the next task."""
        ours, theirs = _SPAWN.Pipe()
        process = _SPAWN.Process(target=_work, args=(theirs, self.options), daemon=True)
        process.start()
        theirs.close()
        worker = _Worker(process, ours)
        self.workers.append(worker)
        self._give(worker)

    def step(self) -> Iterator[Outcome]:
        """Take what has come from any worker."""
        pipes = {worker.pipe: worker for worker in self.workers}
        for pipe in wait(list(pipes)):
            worker = pipes[pipe]  # type: ignore[index]
            try:
                message = worker.pipe.recv()
            except (EOFError, OSError):
                self._ended(worker)
                continue
            if isinstance(message, Outcome):
                self.deaths = 0
                worker.ready.add(message.line.id)
                yield message
            elif isinstance(message, _Broken):
                raise UserError(message.told) if message.mendable else RuntimeError(message.told)
            else:
                self._give(worker)

    def stop(self) -> None:
        """End all workers, whatever they do."""
        for worker in self.workers:
            worker.process.kill()
            worker.process.join()
            worker.pipe.close()

    def _give(self, worker: _Worker) -> None:
        """The next task, or None, at which a worker ends."""
        worker.task, worker.ready = (self.waiting.popleft() if self.waiting else None), set()
        # That a worker has just died is noticed when its pipe is read.
        with suppress(OSError):
            worker.pipe.send(worker.task)

    def _ended(self, worker: _Worker) -> None:
        """A worker is gone: because nothing was left to do, or with a task that another must finish."""
        worker.process.join()
        worker.pipe.close()
        self.workers.remove(worker)
        if worker.task is None:
            return
        self.deaths += 1
        if self.deaths >= _MOST_DEATHS:
            raise UserError(
                f"workers die one after the other (exit code {worker.process.exitcode}); the memory may be too small: "
                "give fewer --workers or a smaller --batch-size, and the same command goes on"
            )
        if (rest := worker.task.without(worker.ready)).lines:
            self.waiting.appendleft(rest)
        if self.waiting:
            self.start()


def _work(pipe: Connection, options: MakeOptions) -> None:
    """A worker's life: tasks until there is none, or the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    maker = Maker(options)
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while (task := pipe.recv()) is not None:
            for message in _messages(maker, task):
                pipe.send(message)


def _messages(maker: Maker, task: Task) -> Iterator[Outcome | _Done | _Broken]:
    try:
        yield from maker.make(task)
        yield _Done()
    except UserError as error:
        yield _Broken(str(error), mendable=True)
    except Exception:  # Told to the parent, which raises it.
        yield _Broken(traceback.format_exc(), mendable=False)
