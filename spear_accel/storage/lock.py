"""A lock that dies with its holder: one process at a time works on a folder. Knows nothing about the work."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spear_accel.errors import UserError

__all__ = ["locked"]


@contextmanager
def locked(path: Path, busy: str) -> Iterator[None]:
    """Hold the lock file at `path` while the block runs.

    The system frees the lock when its holder ends, however that comes, so a lock file that was left behind is in
    nobody's way. Without file locks (outside POSIX) nothing is locked.

    Args:
        path: Lock file; its folder must exist.
        busy: The error if another process holds it.

    Raises:
        UserError: Another process holds the lock.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    while True:
        handle = path.open("ab")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            handle.close()
            raise UserError(busy) from error
        # The last holder may have removed the file between our two steps; then ours is nobody else's.
        if path.exists() and os.fstat(handle.fileno()).st_ino == path.stat().st_ino:
            break
        handle.close()
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        handle.close()
