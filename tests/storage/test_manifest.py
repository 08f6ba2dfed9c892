"""Manifests are read with their faults named, and written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from spear_accel.errors import UserError
from spear_accel.storage.json_lines import read_manifest, write_manifest


def test_manifest_round_trip(tmp_path: Path) -> None:
    records = [{"id": "a", "text": "über"}, {"id": "b", "tokens": [1, 2]}]
    assert write_manifest(tmp_path / "deep" / "m.jsonl", records) == 2
    assert read_manifest(tmp_path / "deep" / "m.jsonl", ("id",)) == records
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["m.jsonl"]


def test_a_failed_manifest_leaves_the_old_one(tmp_path: Path) -> None:
    write_manifest(tmp_path / "m.jsonl", [{"id": "old"}])

    def failing():  # type: ignore[no-untyped-def]
        yield {"id": "new"}
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_manifest(tmp_path / "m.jsonl", failing())
    assert read_manifest(tmp_path / "m.jsonl") == [{"id": "old"}]


@pytest.mark.parametrize(
    ("line", "fault"), [("{", "not JSON"), ("[1]", "expected a JSON object"), ('{"id": 1}', "lacks text")]
)
def test_manifest_faults_name_the_line(tmp_path: Path, line: str, fault: str) -> None:
    (tmp_path / "m.jsonl").write_text('{"id": 0, "text": ""}\n\n' + line + "\n")
    with pytest.raises(UserError, match=rf"line 3: {fault}"):
        read_manifest(tmp_path / "m.jsonl", ("id", "text"))
