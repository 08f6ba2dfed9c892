"""Manifests: records in the order of the input, whoever wrote them and whenever they were killed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spear_accel.errors import UserError
from spear_accel.synth.manifest import Manifest

JOB = {"input": "abc", "shards": 1}


def record(line: int) -> dict[str, Any]:
    return {"id": f"line-{line}", "line": line}


@given(order=st.permutations(range(1, 10)), shards=st.integers(1, 3))
def test_records_come_in_the_order_of_the_input(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], shards: int
) -> None:
    folder = tmp_path_factory.mktemp("dataset")
    whole = None
    for number in range(1, shards + 1):
        manifest = Manifest(folder, JOB, (number, shards))
        for line in order:
            if line % shards == number % shards:
                manifest.add(record(line))
        whole = manifest.finish()
        assert (whole is None) == (number < shards)
    assert whole is not None
    assert [one["line"] for one in whole] == sorted(order) == [one["line"] for one in whole]  # read anew each time


def test_a_record_that_a_kill_cut_off_does_not_count(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path, JOB, (1, 1))
    manifest.add(record(2))
    manifest.add(record(1))
    path = tmp_path / "manifest.jsonl"
    path.write_bytes(path.read_bytes()[:-4])
    again = Manifest(tmp_path, JOB, (1, 1))
    assert again.made == {2}
    again.add(record(1))
    records = again.finish()
    assert records is not None and [one["line"] for one in records] == [1, 2]


def test_failed_lines_are_forgotten_with_their_attempts(tmp_path: Path) -> None:
    Manifest(tmp_path, JOB, (1, 1)).fail({**record(3), "reason": "loop", "attempts": 2})
    manifest = Manifest(tmp_path, JOB, (1, 1))
    assert manifest.failed == {3: 2} and not manifest.made
    assert manifest.forget_failed() == {3: 2}
    assert not manifest.failed and not Manifest(tmp_path, JOB, (1, 1)).failed


def test_another_job_in_the_folder_is_refused(tmp_path: Path) -> None:
    Manifest(tmp_path, JOB, (1, 1))
    with pytest.raises(UserError, match="another input; choose another -o"):
        Manifest(tmp_path, {**JOB, "input": "other"}, (1, 1))
