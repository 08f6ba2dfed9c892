"""A file is whole or not there; JSON faults are named."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from spear_accel.errors import UserError
from spear_accel.storage import files


def test_a_finished_block_replaces_the_file(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_text("old")
    files.write_text(path, "new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_block_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), files.replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    with pytest.raises(UserError, match=r"out\.txt: cannot write \(No space left"), files.replacing(path):
        raise OSError(28, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_the_result_has_ordinary_permissions(tmp_path: Path) -> None:
    plain, written = tmp_path / "plain", tmp_path / "written"
    plain.write_text("")
    files.write_text(written, "")
    assert stat.S_IMODE(written.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


@pytest.mark.parametrize("name", ["missing/out.txt", "."])
def test_an_unwritable_place_is_found_out_before(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="folder"):
        files.check_writable(tmp_path / name)


def test_checking_leaves_nothing(tmp_path: Path) -> None:
    files.check_writable(tmp_path / "out.txt")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("content", "fault"), [("{", "not valid JSON"), ("[]", "JSON object"), (None, "cannot read")])
def test_json_faults_name_the_file(tmp_path: Path, content: str | None, fault: str) -> None:
    path = tmp_path / "a.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match=rf"a\.json: .*{fault}"):
        files.read_json(path)
