"""Writes a file whole or not at all, and reads JSON with its faults named.

A regular file is written beside its place and renamed into it. Symbolic links are followed: the link stays and the
file that it names is replaced. A FIFO or a device (`/dev/stdout`, `/dev/null`) cannot be replaced, so the bytes go
into it directly. Knows nothing about what is written.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from spear_accel.errors import UserError

__all__ = [
    "PART",
    "check_writable",
    "is_stream",
    "make_folder",
    "read_json",
    "read_whole",
    "replacing",
    "sha256_of",
    "shown",
    "sync",
    "write_bytes",
    "write_json",
    "write_lines",
    "write_text",
    "writing",
]

PART = ".spear-part"
"""End of the names of files that are not whole yet. No other program's files end so."""

_LONGEST_SHOWN = 200
_PIECE = 1 << 20
"""Bytes of a large file that are read at once."""


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yields a temporary regular file whose content becomes that of `path` when the block ends well.

    When the block or the disk fails, the temporary file is removed and `path` stays as it was. A FIFO or device gets
    all bytes at the end of the block.

    Raises:
        UserError: The folder cannot be written to, or the disk is full.
        BrokenPipeError: `path` is a FIFO whose reader went away.
    """
    target = Path(path)
    stream = is_stream(target)
    temporary = _temporary_file() if stream else _temporary_beside(target)
    try:
        yield temporary
        if stream:
            _copy_into(temporary, target)
        else:
            _settle(temporary, _followed(target))
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UserError(f"{target}: cannot write ({error.strerror or error}); nothing was left behind") from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def writing(path: str | Path) -> Iterator[IO[bytes]]:
    """Yields a binary file whose bytes become those of `path`, as `replacing`; a FIFO or device gets them at once.

    Raises:
        UserError: The folder cannot be written to, or the disk is full.
        BrokenPipeError: `path` is a FIFO whose reader went away.
    """
    if is_stream(path):
        try:
            with Path(path).open("wb") as file:
                yield file
        except BrokenPipeError:
            raise
        except OSError as error:
            raise UserError(f"{path}: cannot write ({error.strerror or error})") from error
    else:
        with replacing(path) as temporary, temporary.open("wb") as file:
            yield file


def write_bytes(path: str | Path, data: bytes) -> None:
    """Makes `data` the content of `path`; after a failure `path` holds what it held before."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | Path, text: str) -> None:
    """Writes `text` as UTF-8, as `write_bytes`."""
    write_bytes(path, text.encode("utf-8"))


def write_lines(path: str | Path, lines: Iterable[str]) -> None:
    """Writes lines that are given without their ends; they are not kept in memory."""
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{line}\n" for line in lines)


def write_json(path: str | Path, values: dict[str, Any]) -> None:
    """Writes a JSON object, indented."""
    write_text(path, json.dumps(values, indent=2, ensure_ascii=False) + "\n")


def read_json(path: str | Path) -> dict[str, Any]:
    """Reads a JSON object.

    Raises:
        UserError: The file cannot be read or holds something else; the line names the file and the fault.
    """
    try:
        values = json.loads(read_whole(path).decode("utf-8"))
    except UserError:
        raise
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not valid JSON ({error}); restore the file") from error
    if not isinstance(values, dict):
        raise UserError(f"{path}: must hold a JSON object, not a {type(values).__name__}; restore the file")
    return values


def read_whole(path: str | Path) -> bytes:
    """The bytes of a regular file; a FIFO would wait for a writer, and a device may never end.

    Raises:
        UserError: It is no regular file, or cannot be read.
    """
    with _reading(path):
        return Path(path).read_bytes()


def sha256_of(path: str | Path) -> str:
    """The SHA-256 of a regular file of any size, in hexadecimal digits. Raises UserError as `read_whole`."""
    digest = hashlib.sha256()
    with _reading(path), Path(path).open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()


@contextmanager
def _reading(path: str | Path) -> Iterator[None]:
    """Turns what reading a file stumbles over into one line, and lets nobody read what is no plain file."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise UserError(f"{shown(path)}: is no plain file; restore the file")
        yield
    except (OSError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{shown(path)}: cannot read ({reason}); restore the file") from error


def check_writable(path: str | Path) -> None:
    """Finds out before long work whether `replacing(path)` can start.

    Raises:
        UserError: `path` is a folder or socket, its folder is missing, or permission is missing.
    """
    target = Path(path)
    if target.is_dir():
        raise UserError(f"{target}: is a folder; give the name of a file in it")
    if is_stream(target):
        if not os.access(target, os.W_OK):
            raise UserError(f"{target}: cannot write there (Permission denied)")
    else:
        _temporary_beside(target).unlink()


def make_folder(folder: str | Path, advice: str) -> None:
    """Makes `folder` and its parents where they are missing.

    Raises:
        UserError: It cannot be made; the line ends with `advice`.
    """
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot make this folder ({error.strerror}); {advice}") from error


def shown(path: str | Path) -> str:
    """A path as an error names it: bytes that are no UTF-8 as question marks, long ones cut short in the middle."""
    text = os.fsencode(path).decode("utf-8", "replace").replace("\ufffd", "?")
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN // 2]}...{text[-_LONGEST_SHOWN // 2 :]}"


def is_stream(path: str | Path) -> bool:
    """Whether `path` is a FIFO, a device or an open descriptor: it is written to, never replaced by a plain file.

    Raises:
        UserError: `path` is a socket, or permission to look at it is missing.
    """
    path = Path(path)
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise UserError(f"{path}: cannot write there ({error.strerror})") from error
    if stat.S_ISSOCK(mode):
        raise UserError(f"{path}: is a socket; name a file, or '-' for standard output")
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or stat.S_ISBLK(mode) or _is_descriptor(path)


def sync(path: Path) -> None:
    """Returns when the content of the file `path` is on the disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _is_descriptor(path: Path) -> bool:
    """Whether `path` names an open file (`/dev/stdout`, `/dev/fd/1`); the shell redirected it, with or without `>>`."""
    while path.is_symlink():
        if path.parent.resolve().is_relative_to("/proc"):
            return True
        path = path.parent / path.readlink()
    return False


def _followed(path: Path) -> Path:
    """The file that `path` names, at the end of all symbolic links; it need not exist."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def _temporary_file() -> Path:
    handle, name = tempfile.mkstemp(prefix="spear-accel.")
    os.close(handle)
    return Path(name)


def _temporary_beside(target: Path) -> Path:
    place = _followed(target)
    if not place.parent.is_dir():
        raise UserError(f"{place.parent}: no such folder; make it first or write elsewhere")
    try:
        handle, name = tempfile.mkstemp(prefix=f".{place.name[:100]}.", suffix=PART, dir=place.parent)
    except OSError as error:
        raise UserError(f"{target}: cannot write there ({error.strerror})") from error
    os.close(handle)
    return Path(name)


def _copy_into(temporary: Path, target: Path) -> None:
    with temporary.open("rb") as source, target.open("wb") as file:
        shutil.copyfileobj(source, file)


def _settle(temporary: Path, target: Path) -> None:
    """Data on disk first, then the name; with the permissions that a newly made file would have."""
    mask = os.umask(0)
    os.umask(mask)
    temporary.chmod(target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~mask)
    sync(temporary)
    temporary.replace(target)
