"""A file is whole or not there; JSON faults are named."""

from __future__ import annotations

import os
import stat
import sys
import threading
from collections.abc import Callable
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


def write_plainly(path: Path, data: bytes) -> None:
    files.write_bytes(path, data)


def write_in_pieces(path: Path, data: bytes) -> None:
    with files.writing(path) as file:
        for start in range(0, len(data), 7):
            file.write(data[start : start + 7])


WRITERS = pytest.mark.parametrize("write", [write_plainly, write_in_pieces])
Write = Callable[[Path, bytes], None]


@WRITERS
def test_a_symbolic_link_is_followed_and_stays(tmp_path: Path, write: Write) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "file").write_bytes(b"old")
    (tmp_path / "there").symlink_to("real/file")
    (tmp_path / "link").symlink_to(tmp_path / "there")
    write(tmp_path / "link", b"new")
    assert (tmp_path / "real" / "file").read_bytes() == b"new"
    assert (tmp_path / "link").is_symlink() and (tmp_path / "there").is_symlink()
    assert [path.name for path in (tmp_path / "real").iterdir()] == ["file"]


def test_a_link_to_a_file_that_is_not_there_yet_makes_it(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("file")
    files.check_writable(tmp_path / "link")
    files.write_bytes(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "file").read_bytes() == b"new"


@pytest.mark.parametrize("check", [files.check_writable, lambda path: files.write_bytes(path, b"")])
def test_links_in_a_circle_are_refused(tmp_path: Path, check: Callable[[Path], None]) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(UserError, match=r"a: cannot write there"):
        check(tmp_path / "a")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


@WRITERS
def test_a_fifo_gets_the_bytes_and_stays(tmp_path: Path, write: Write) -> None:
    fifo, read = tmp_path / "fifo", []
    os.mkfifo(fifo)
    files.check_writable(fifo)
    reader = threading.Thread(target=lambda: read.append(fifo.read_bytes()))
    reader.start()
    write(fifo, b"what is read at the other end")
    reader.join()
    assert read == [b"what is read at the other end"]
    assert stat.S_ISFIFO(fifo.stat().st_mode) and list(tmp_path.iterdir()) == [fifo]


@WRITERS
def test_a_device_is_written_to(write: Write) -> None:
    files.check_writable("/dev/null")
    write(Path("/dev/null"), b"nothing")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


@WRITERS
def test_a_full_device_is_one_clear_line(write: Write) -> None:
    with pytest.raises(UserError, match=r"/dev/full: cannot write \(No space left"):
        write(Path("/dev/full"), b"too much")


@pytest.mark.skipif(sys.platform != "linux", reason="open files have names in /proc on Linux")
def test_an_open_descriptor_is_written_to(tmp_path: Path) -> None:
    path = tmp_path / "redirected"
    with path.open("wb") as file:
        before = path.stat().st_ino
        files.write_bytes(f"/dev/fd/{file.fileno()}", b"through the descriptor")
    assert path.read_bytes() == b"through the descriptor" and path.stat().st_ino == before


def test_a_reader_that_goes_away_is_no_fault_of_the_disk(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    end = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(BrokenPipeError), files.writing(fifo) as file:
        os.close(end)
        file.write(b"nobody reads this")
        file.flush()


def test_a_folder_that_cannot_be_made_is_named_with_the_advice(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file/deep: cannot make this folder \(.*\); choose another -o"):
        files.make_folder(tmp_path / "file" / "deep", "choose another -o")
