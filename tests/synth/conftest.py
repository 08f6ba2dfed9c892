"""A tiny voice that ends its utterances, and what a dataset's bytes are."""

from __future__ import annotations

from pathlib import Path

import pytest

from spear_accel import DecodeOptions
from spear_accel.synth import Line
from spear_accel.synth.line_scheduler import LineOptions
from spear_accel.synth.worker import WorkerOptions

WORDS = "a small boat lay on the beach and nobody came for it until snow fell softly".split()


@pytest.fixture(scope="session")
def ending_voice(shared_voice: Path) -> Path:
    """Its untrained model finds all tokens alike, EOS among them."""
    return shared_voice


@pytest.fixture
def lines() -> list[Line]:
    """Short and long, with seeds and speeds of their own."""
    texts = [" ".join(WORDS[n % 7 : n % 7 + 2 + n % 4]) + "." for n in range(23)]
    return [
        Line(n + 1, f"line-{n:02d}", text, seed=n if n % 5 == 0 else None, speed=1.5 if n % 7 == 3 else 1.0)
        for n, text in enumerate(texts)
    ]


@pytest.fixture
def worker_options(ending_voice: Path) -> WorkerOptions:
    return WorkerOptions({str(ending_voice): LineOptions(DecodeOptions(temperature=1.0, batch_size=4), retries=1)})


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a dataset but what belongs to the job."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "job.json" and ".shards" not in path.parts
    }
