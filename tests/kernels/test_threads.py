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


@pytest.mark.parametrize(("content", "most"), [("150000 100000", 1.5), ("max 100000", 1e9), ("", 1e9)])
def test_a_quota_counts(tmp_path: Path, content: str, most: float) -> None:
    quota = tmp_path / "cpu.max"
    quota.write_text(content)
    assert 0 < threads.available_cores(quota) <= most


def test_all_cores_where_the_system_knows_no_affinity(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As on macOS."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert threads.available_cores(tmp_path / "none") == 6.0
