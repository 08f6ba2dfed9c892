"""Tasks by several processes of this machine, each with the voice of its own. A worker that dies is replaced.

A worker asks for a task whenever rows of its batch fall empty, so its batch runs without a break until none is left.
Each has a pipe to the parent: a shared queue could be left locked by a worker that is killed while it writes. What a
dead worker had handed over is kept, the rest of what it was given is given out again. Knows no folder and no format.
"""

from __future__ import annotations

import multiprocessing
import signal
import traceback
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from threading import Lock

from spear_accel.errors import UserError
from spear_accel.synth.making import MakeOptions, Maker, Outcome, Task
from spear_accel.synth.memory import hold_memory
from spear_accel.synth.speaking import Wanted

__all__ = ["by_processes"]

_SPAWN = multiprocessing.get_context("spawn")
_MOST_DEATHS = 3
"""Of workers in a row, no line made between them: then it is no accident."""


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    left: dict[str, tuple[str, Wanted]] = field(default_factory=dict)
    """What it was given and has not made: voice and line, by id."""


@dataclass(frozen=True)
class _More:
    """A worker asks for a task; None tells it that there is none."""


@dataclass(frozen=True)
class _Broken:
    """Something cannot be done: the text of the error, and whether it is one that the user can mend."""

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
        """One more worker; it asks for tasks itself."""
        ours, theirs = _SPAWN.Pipe()
        process = _SPAWN.Process(target=_work, args=(theirs, self.options), daemon=True)
        process.start()
        theirs.close()
        self.workers.append(_Worker(process, ours))

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
                worker.left.pop(message.line.id, None)
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
        """The next task, or None where there is none."""
        task = self.waiting.popleft() if self.waiting else None
        if task is not None:
            worker.left.update((one.line.id, (task.voice, one)) for one in task.wanted)
        # That a worker has just died is noticed when its pipe is read.
        with suppress(OSError):
            worker.pipe.send(task)

    def _ended(self, worker: _Worker) -> None:
        """A worker is gone: because nothing was left to do, or with lines that another must make."""
        worker.process.join()
        worker.pipe.close()
        self.workers.remove(worker)
        if not worker.left and not self.waiting:
            return
        self.deaths += 1
        if self.deaths >= _MOST_DEATHS:
            raise UserError(
                f"workers die one after the other (exit code {worker.process.exitcode}); the memory may be too small: "
                "give fewer --workers or a smaller --batch-size, and the same command goes on"
            )
        for voice, rest in groupby(worker.left.values(), lambda one: one[0]):
            self.waiting.appendleft(Task(voice, tuple(wanted for _, wanted in rest)))
        if self.waiting:
            self.start()


class _Parent:
    """The parent, as a worker sees it: the decoding thread asks for tasks while another hands over what was made."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe, self._speaking = pipe, Lock()

    def tell(self, message: Outcome | _More | _Broken) -> None:
        with self._speaking:
            self._pipe.send(message)

    def tasks(self) -> Iterator[Task]:
        """Until there is none. Only this reads from the pipe, so answers need no names."""
        while True:
            self.tell(_More())
            task: Task | None = self._pipe.recv()
            if task is None:
                return
            yield task


def _work(pipe: Connection, options: MakeOptions) -> None:
    """A worker's life: tasks until there is none, or the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    hold_memory()
    parent = _Parent(pipe)
    with suppress(EOFError, ConnectionError):
        for message in _messages(Maker(options), parent.tasks()):
            parent.tell(message)


def _messages(maker: Maker, tasks: Iterator[Task]) -> Iterator[Outcome | _Broken]:
    try:
        yield from maker.make(tasks)
    except (EOFError, ConnectionError):
        raise
    except UserError as error:
        yield _Broken(str(error), mendable=True)
    except Exception:  # Told to the parent, which raises it.
        yield _Broken(traceback.format_exc(), mendable=False)
