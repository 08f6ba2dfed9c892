"""The number of threads follows what the machine has left."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from spear_accel.kernels import threads


@pytest.mark.parametrize(
    ("available", "busy", "expected"),
    [(2, 0.0, 2), (2, 0.2, 2), (2, 0.5, 1), (2, 3.0, 1), (8, 0.5, 4), (0.5, 0.0, 1), (64, 0.99, 1)],
)
def test_free_cores(available: float, busy: float, expected: int) -> None:
    assert threads.free_cores(available, busy) == expected


def test_the_users_own_choice_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert threads.thread_count() is None
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert isinstance(threads.thread_count(), int)


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "150000 100000"}, 1.5),
        ({"cpu.max": "765000 100000"}, 7.65),
        ({"cpu.max": "max 100000"}, 16.0),
        ({"cpu.max": ""}, 16.0),
        ({"cpu/cpu.cfs_quota_us": "150000", "cpu/cpu.cfs_period_us": "100000"}, 1.5),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 16.0),
    ],
    ids=str,
)
def test_a_quota_of_either_version_counts(
    files: dict[str, str], cores: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: range(16), raising=False)
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content + "\n")
    assert threads.available_cores(tmp_path) == cores


@pytest.mark.parametrize(("available", "expected"), [(1.5, 1), (7.65, 7), (0.3, 1)])
def test_a_part_of_a_core_is_no_thread(available: float, expected: int) -> None:
    assert threads.free_cores(available, 0.0) == expected


def test_all_cores_where_the_system_knows_no_affinity(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As on macOS."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert threads.available_cores(tmp_path / "none") == 6.0
