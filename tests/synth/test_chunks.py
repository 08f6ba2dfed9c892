"""Chunks hold every line once, and keep workers equally busy."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from spear_accel.synth import Line
from spear_accel.synth.chunks import Chunk, large_chunks, small_chunks
from spear_accel.synth.line_job import LineJob


def jobs(lines: Sequence[Line]) -> list[LineJob]:
    """Of two voices."""
    return [LineJob(line, "second" if line.number % 3 == 0 else "first") for line in lines]


def ids(chunks: Sequence[Chunk]) -> list[str]:
    return [job.line.id for chunk in chunks for job in chunk]


@pytest.mark.parametrize("workers", [1, 2, 3, 40])
@pytest.mark.parametrize("batch_size", [1, 16])
def test_every_line_is_in_one_chunk(lines: list[Line], batch_size: int, workers: int) -> None:
    for cut in (small_chunks, large_chunks):
        chunks = list(cut(jobs(lines), batch_size, workers))
        assert sorted(ids(chunks)) == sorted(line.id for line in lines)
        assert all(len({job.voice for job in chunk}) == 1 for chunk in chunks)
        assert all(chunks)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_large_chunks_have_equal_shares_of_long_and_short_texts(lines: list[Line], workers: int) -> None:
    one_voice = [LineJob(line, "voice") for line in lines]
    chunks = list(large_chunks(one_voice, 1, workers))[:workers]
    lengths = [sum(len(job.line.text) for job in chunk) for chunk in chunks]
    assert max(lengths) < 1.3 * min(lengths)


def test_small_chunks_end_with_the_shortest(lines: list[Line]) -> None:
    chunks = list(small_chunks([LineJob(line, "voice") for line in lines], 16, 2))
    assert max(map(len, chunks)) == 4
    lengths = [len(job.line.text) for chunk in chunks for job in chunk]
    assert lengths == sorted(lengths, reverse=True)
