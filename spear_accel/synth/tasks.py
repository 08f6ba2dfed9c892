"""Lines to tasks: how a job is cut up so that workers finish together and rows of a batch stay full.

Knows lengths of texts only. How lines are dealt out changes no byte of what is made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from spear_accel.synth.making import Task
from spear_accel.synth.speaking import Wanted

__all__ = ["large_tasks", "small_tasks"]

_WINDOW = 16
"""Batches of a worker that are put in order of length at a time, and the largest task."""


def small_tasks(voice: str, wanted: Sequence[Wanted], batch_size: int, workers: int) -> Iterator[Task]:
    """For workers that ask for more while they decode: a quarter of a batch, so none has lines that others wait for.

    The longest texts of every window come first, so that what is decoded last ends soon.
    """
    size = max(1, batch_size // 4)
    for ranked in _windows(wanted, batch_size * workers):
        for first in range(0, len(ranked), size):
            yield Task(voice, tuple(ranked[first : first + size]))


def large_tasks(voice: str, wanted: Sequence[Wanted], batch_size: int, workers: int) -> Iterator[Task]:
    """For workers that end one task before they take the next: up to sixteen batches, as only the last utterances of
    each leave rows of a batch empty, with a like share of long and short texts.

    A job that is smaller than that is dealt out to all workers.
    """
    for ranked in _windows(wanted, batch_size * workers):
        for place in range(min(workers, len(ranked))):
            yield Task(voice, tuple(ranked[place::workers]))


def _windows(wanted: Sequence[Wanted], batches: int) -> Iterator[list[Wanted]]:
    size = _WINDOW * batches
    for first in range(0, len(wanted), size):
        yield sorted(wanted[first : first + size], key=lambda one: (-len(one.line.text), one.line.number))
