"""Lines made by several processes of this machine, each with voices of its own. A worker that dies is replaced.

A worker asks for a chunk of lines whenever rows of its batch fall empty, so its batch runs without a break until no
line is left. Each worker has a pipe to the parent: a shared queue could stay locked by a worker that is killed while it
writes. The parent keeps what a dead worker had sent, and gives the rest of its lines to another. Knows no folder and no
format.
"""

from __future__ import annotations

import multiprocessing
import signal
import traceback
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from threading import Lock

from spear_accel.errors import UserError
from spear_accel.synth.chunks import Chunk, small_chunks
from spear_accel.synth.line_job import LineJob
from spear_accel.synth.worker import LineResult, Worker, WorkerOptions, start_worker

__all__ = ["ProcessExecutor", "stop_unguarded_import"]

_SPAWN = multiprocessing.get_context("spawn")
_UNGUARDED = 78
"""Exit code of a worker whose script has no main guard."""
_MAX_DEATHS = 3
"""Deaths of workers in a row, without a line between them, that are no accident any more."""


def stop_unguarded_import() -> None:
    """End this process if it is a worker that is just importing the caller's script, which has no main guard.

    Such a worker would start the job once more, in the folder that its parent works in.
    """
    # What multiprocessing itself asks before it starts a process.
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise SystemExit(_UNGUARDED)


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Ctrl-C waits: a process that is started meanwhile never hears it, however long its imports take."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class ProcessExecutor:
    """Makes lines in `workers` processes; see `Executor`."""

    def __init__(self, options: WorkerOptions, batch_size: int, workers: int) -> None:
        self._options, self._batch_size, self._workers = options, batch_size, workers

    def run(self, jobs: Iterable[LineJob]) -> Iterator[LineResult]:
        """See `Executor`."""
        chunks = deque(small_chunks(jobs, self._batch_size, self._workers))
        pool = _Pool(chunks, self._options)
        try:
            for _ in range(min(self._workers, len(chunks))):
                pool.start_process()
            while pool.processes:
                yield from pool.receive()
        finally:
            pool.kill()


@dataclass
class _Process:
    """A worker's process, as the parent sees it."""

    process: BaseProcess
    pipe: Connection
    unfinished: dict[str, LineJob] = field(default_factory=dict)
    """Lines that it was given and has not made, by id."""


@dataclass(frozen=True)
class _ChunkRequest:
    """From a worker: send the next chunk, or None if no line is left."""


@dataclass(frozen=True)
class _WorkerError:
    """From a worker: its last message."""

    message: str
    is_user_error: bool


class _Pool:
    """The processes, and the chunks that none of them was given yet."""

    def __init__(self, chunks: deque[Chunk], options: WorkerOptions) -> None:
        self.chunks, self.options = chunks, options
        self.processes: list[_Process] = []
        self.deaths = 0

    def start_process(self) -> None:
        """Starts one more worker; it asks for chunks itself."""
        ours, theirs = _SPAWN.Pipe()
        process = _SPAWN.Process(target=_run_worker, args=(theirs, self.options), daemon=True)
        with _without_interrupts():
            process.start()
        theirs.close()
        self.processes.append(_Process(process, ours))

    def receive(self) -> Iterator[LineResult]:
        """Waits for messages and answers them; yields the results among them."""
        by_pipe = {process.pipe: process for process in self.processes}
        for pipe in wait(list(by_pipe)):
            process = by_pipe[pipe]  # type: ignore[index]
            try:
                message = process.pipe.recv()
            except (EOFError, OSError):
                self._replace(process)
                continue
            if isinstance(message, LineResult):
                self.deaths = 0
                process.unfinished.pop(message.line.id, None)
                yield message
            elif isinstance(message, _WorkerError):
                raise UserError(message.message) if message.is_user_error else RuntimeError(message.message)
            else:
                self._send_chunk(process)

    def kill(self) -> None:
        """Kills all processes, whatever they do."""
        for process in self.processes:
            process.process.kill()
            process.process.join()
            process.pipe.close()

    def _send_chunk(self, process: _Process) -> None:
        """Sends the next chunk, or None if there is none."""
        chunk = self.chunks.popleft() if self.chunks else None
        process.unfinished.update((job.line.id, job) for job in chunk or ())
        # A worker that has just died is replaced when its pipe is read.
        with suppress(OSError):
            process.pipe.send(chunk)

    def _replace(self, process: _Process) -> None:
        """Takes leave of a process that has ended; if lines are left, another one makes them."""
        process.process.join()
        process.pipe.close()
        self.processes.remove(process)
        if not process.unfinished and not self.chunks:
            return
        if process.process.exitcode == _UNGUARDED:
            raise UserError(
                "synthesise with several workers imports your script in each of them; put the call under "
                "if __name__ == '__main__':, or give workers=1"
            ) from None
        self.deaths += 1
        if self.deaths >= _MAX_DEATHS:
            raise UserError(
                f"workers die one after the other (exit code {process.process.exitcode}); the memory may be too small: "
                "give fewer --workers or a smaller --batch-size and rerun the same command to resume"
            ) from None
        if process.unfinished:
            self.chunks.appendleft(list(process.unfinished.values()))
        self.start_process()


class _Parent:
    """The parent, as a worker sees it: its decoding thread asks for chunks while its main thread sends results."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe, self._sending = pipe, Lock()

    def send(self, message: LineResult | _ChunkRequest | _WorkerError) -> None:
        with self._sending:
            self._pipe.send(message)

    def chunks(self) -> Iterator[Chunk]:
        """Yields chunks until no line is left. Nothing else reads from the pipe, so answers need no names."""
        while True:
            self.send(_ChunkRequest())
            chunk: Chunk | None = self._pipe.recv()
            if chunk is None:
                return
            yield chunk


def _run_worker(pipe: Connection, options: WorkerOptions) -> None:
    """The life of a worker's process: chunks until no line is left, or until the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = _Parent(pipe)
    with suppress(EOFError, ConnectionError):
        for message in _messages(start_worker(options), parent.chunks()):
            parent.send(message)


def _messages(worker: Worker, chunks: Iterator[Chunk]) -> Iterator[LineResult | _WorkerError]:
    try:
        yield from worker.make(chunks)
    except (EOFError, ConnectionError):
        raise
    except UserError as error:
        yield _WorkerError(str(error), is_user_error=True)
    except Exception:  # The parent raises it.
        yield _WorkerError(traceback.format_exc(), is_user_error=False)
