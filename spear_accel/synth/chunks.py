"""Cuts the lines of a job into chunks for workers, so that workers finish together and batches stay full.

Knows lengths of texts only. How lines are cut into chunks changes no byte of the dataset.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from spear_accel.synth.line_job import LineJob

__all__ = ["Chunk", "large_chunks", "small_chunks"]

Chunk = Sequence[LineJob]
"""Lines that a worker is given at once."""

_SORTED_BATCHES = 16
"""Batches of each worker that are sorted by length at a time. No chunk is larger."""


def small_chunks(jobs: Iterable[LineJob], batch_size: int, workers: int) -> Iterator[Chunk]:
    """For workers that ask for more while they decode: a quarter of a batch, so that no worker hoards lines.

    The longest texts come first among those sorted together, so that the last rows decoded are short.
    """
    size = max(1, batch_size // 4)
    for ranked in _longest_first(jobs, batch_size * workers):
        for first in range(0, len(ranked), size):
            yield ranked[first : first + size]


def large_chunks(jobs: Iterable[LineJob], batch_size: int, workers: int) -> Iterator[Chunk]:
    """For workers that finish one chunk before they take the next: up to sixteen batches, with long and short texts.

    Rows of a batch stand empty only while the last utterances of a chunk are decoded. A small job is dealt out to all
    workers.
    """
    for ranked in _longest_first(jobs, batch_size * workers):
        for place in range(min(workers, len(ranked))):
            yield ranked[place::workers]


def _longest_first(jobs: Iterable[LineJob], rows: int) -> Iterator[list[LineJob]]:
    """Stretches of the lines of each voice, sorted by length; rows: of the batches of all workers."""
    by_voice: dict[str, list[LineJob]] = {}
    for job in jobs:
        by_voice.setdefault(job.voice, []).append(job)
    size = _SORTED_BATCHES * rows
    for own in by_voice.values():
        for first in range(0, len(own), size):
            yield sorted(own[first : first + size], key=lambda job: (-len(job.line.text), job.line.number))
