"""A folder is replaced as a whole or stays as it was, wherever a kill comes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from spear_accel.errors import UserError
from spear_accel.storage import folders


@pytest.fixture
def old(tmp_path: Path) -> Path:
    folder = tmp_path / "voice"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "a").write_text("old")
    return folder


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_finished_block_replaces_the_whole_folder(old: Path) -> None:
    with folders.replacing(old) as building:
        (building / "b").write_text("new")
        assert (old / "deep" / "a").read_text() == "old"
    assert names(old.parent) == ["voice", "voice/b"]


def test_a_folder_that_is_not_there_yet_is_made(tmp_path: Path) -> None:
    with folders.replacing(tmp_path / "far" / "away") as building:
        (building / "b").write_text("new")
    assert names(tmp_path) == ["far", "far/away", "far/away/b"]


@pytest.mark.parametrize("fault", [RuntimeError, KeyboardInterrupt])
def test_a_failed_block_leaves_the_old_folder_and_nothing_else(old: Path, fault: type[BaseException]) -> None:
    with pytest.raises(fault), folders.replacing(old) as building:
        (building / "b").write_text("half")
        raise fault
    assert names(old.parent) == ["voice", "voice/deep", "voice/deep/a"]


def test_a_full_disk_is_one_clear_line(old: Path) -> None:
    with pytest.raises(UserError, match=r"voice: cannot write \(No space left"), folders.replacing(old):
        raise OSError(28, "No space left on device")
    assert names(old.parent) == ["voice", "voice/deep", "voice/deep/a"]


def test_what_a_kill_left_while_building_is_removed(old: Path) -> None:
    shutil.copytree(old, old.with_name("voice.part"))
    with folders.replacing(old) as building:
        assert names(building) == []
    assert names(old.parent) == ["voice"]


def test_after_a_kill_between_the_renames_the_old_folder_is_found_and_gets_its_name_back(old: Path) -> None:
    old.rename(old.with_name("voice.previous"))
    assert folders.latest(old) == old.with_name("voice.previous")
    folders.recover(old)
    assert folders.latest(old) == old
    assert names(old.parent) == ["voice", "voice/deep", "voice/deep/a"]


def test_replacing_after_a_kill_between_the_renames_leaves_nothing_behind(old: Path) -> None:
    old.rename(old.with_name("voice.previous"))
    with folders.replacing(old) as building:
        (building / "b").write_text("new")
    assert names(old.parent) == ["voice", "voice/b"]


def test_there_is_no_latest_without_a_folder(tmp_path: Path) -> None:
    assert folders.latest(tmp_path / "none") is None
    folders.recover(tmp_path / "none")
    assert names(tmp_path) == []


def test_a_link_to_a_folder_is_followed_and_stays(old: Path) -> None:
    link = old.with_name("link")
    link.symlink_to(old)
    with folders.replacing(link) as building:
        (building / "b").write_text("new")
    assert link.is_symlink() and names(old) == ["b"]
