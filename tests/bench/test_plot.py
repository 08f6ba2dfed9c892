"""The chart: a PNG file, drawn whole, with a line per way to decode."""

from __future__ import annotations

import struct
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from spear_accel.bench import Run, make_records, plot
from spear_accel.bench.records import Conditions
from spear_accel.errors import UserError


def test_draws_a_png(runs: list[Run], conditions: Conditions, tmp_path: Path) -> None:
    plain, prophet = make_records(runs, conditions)
    others = [replace(prophet, draft_length="auto", batch_size=size, speedup=1.0 + size / 8) for size in (1, 2, 8)]
    path = tmp_path / "chart.png"
    plot.save_plot([plain, prophet, *others], path)
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", data[16:24]) == (1320, 660)
    assert [item.name for item in tmp_path.iterdir()] == ["chart.png"]


def test_draws_autoregressive_decoding_alone(runs: list[Run], conditions: Conditions, tmp_path: Path) -> None:
    plot.save_plot(make_records(runs[:1], conditions), tmp_path / "chart.png")
    assert (tmp_path / "chart.png").stat().st_size > 1000


def test_a_missing_matplotlib_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(UserError, match=r"pip install 'spear-accel\[train\]'"):
        plot.check_available()
