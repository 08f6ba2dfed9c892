"""Appended records survive a kill; what it left of the last line is cut off."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spear_accel.errors import UserError
from spear_accel.storage.json_lines import append_records, read_manifest, recovered_records

RECORDS = [{"id": "a", "text": "über"}, {"id": "b", "tokens": [1, 2]}, {"id": "c"}]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "manifest.jsonl"


def test_every_record_is_found_at_the_offset_that_was_returned(path: Path) -> None:
    offsets = append_records(path, RECORDS[:1]) + append_records(path, RECORDS[1:])
    assert list(recovered_records(path)) == list(zip(offsets, RECORDS, strict=True))
    data = path.read_bytes()
    assert [json.loads(data[offset:].splitlines()[0]) for offset in offsets] == RECORDS


def test_appending_nothing_changes_nothing(path: Path) -> None:
    append_records(path, RECORDS)
    before = path.read_bytes()
    assert append_records(path, []) == []
    assert path.read_bytes() == before


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(cut=st.integers(0, 200))
def test_wherever_a_kill_cuts_the_file_whole_records_stay_and_writing_goes_on(path: Path, cut: int) -> None:
    path.unlink(missing_ok=True)
    append_records(path, RECORDS)
    whole = path.read_bytes()
    path.write_bytes(whole[:cut])
    kept = [record for _, record in recovered_records(path)]
    assert kept == RECORDS[: whole[:cut].count(b"\n")]
    append_records(path, RECORDS[len(kept) :])
    assert path.read_bytes() == whole


def test_a_last_line_of_zeros_as_after_a_power_cut_is_cut_off(path: Path) -> None:
    append_records(path, RECORDS)
    whole = path.read_bytes()
    path.write_bytes(whole + b"\0" * 50)
    assert [record for _, record in recovered_records(path)] == RECORDS
    assert path.read_bytes() == whole


def test_damage_before_the_last_line_is_named_and_nothing_is_cut_off(path: Path) -> None:
    path.write_text('{"id": 1}\n{"id": \n{"id": 3}\n')
    before = path.read_bytes()
    with pytest.raises(UserError, match=r"manifest\.jsonl, line 2: not JSON"):
        list(recovered_records(path))
    assert path.read_bytes() == before


def test_a_file_that_is_not_there_has_no_records(path: Path) -> None:
    assert list(recovered_records(path)) == []
    assert not path.exists()


def test_a_full_disk_is_one_clear_line() -> None:
    with pytest.raises(UserError, match=r"/dev/full: cannot write \(No space left.*rerun the same command to resume"):
        append_records("/dev/full", RECORDS)


@pytest.mark.parametrize(
    ("data", "fault"),
    [(b"\xff\xfe{}\n", "line 1: not JSON"), (b'{"id": 1}\n"x"\n', "line 2: expected a JSON object, found str")],
)
def test_a_manifest_that_is_no_json_lines_is_refused_in_one_line(path: Path, data: bytes, fault: str) -> None:
    path.write_bytes(data)
    with pytest.raises(UserError, match=rf"manifest\.jsonl, {fault}"):
        read_manifest(path)


def test_a_folder_is_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read"):
        read_manifest(tmp_path)


def test_records_are_read_with_windows_line_ends_and_blank_lines(path: Path) -> None:
    path.write_bytes(b'{"id": 1}\r\n\r\n{"id": 2}')
    found: list[dict[str, Any]] = read_manifest(path, ("id",))
    assert found == [{"id": 1}, {"id": 2}]
