"""Lines to tasks: how a job is cut up so that workers finish together and rows of a batch stay full.

Knows lengths of texts only. How lines are dealt out changes no byte of what is made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from spear_accel.synth.lines import Line
from spear_accel.synth.making import Task

__all__ = ["make_tasks"]

_TASK_BATCHES = 16
"""Of a task: only its last utterances leave rows of a batch empty, and a worker that dies loses the work on one."""


def make_tasks(
    voice: str, lines: Sequence[Line], tried: Mapping[str, int], batch_size: int, workers: int
) -> Iterator[Task]:
    """Lines of one voice in tasks of up to sixteen batches, a like share of long and short texts in each.

    A job that is smaller than that is dealt out to all workers.
    """
    size = _TASK_BATCHES * batch_size * workers
    for first in range(0, len(lines), size):
        ranked = sorted(lines[first : first + size], key=lambda line: (-len(line.text), line.number))
        for place in range(min(workers, len(ranked))):
            own = tuple(ranked[place::workers])
            yield Task(voice, own, {line.id: tried[line.id] for line in own if line.id in tried})
