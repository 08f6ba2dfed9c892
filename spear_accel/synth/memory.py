"""Settings that keep the memory of a worker process where it is after its first lines.

A worker makes tensors of ever other sizes for hours, and its C library keeps holes between them (docs/log.md has the
figures).
"""

from __future__ import annotations

import ctypes
import os

__all__ = ["hold_memory"]

# Of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_OWN_PAGES = 4 << 20
"""Bytes. Larger tensors get pages of their own, which go back when they do, and leave no holes behind. Left to itself
glibc moves this bound up to 32 MiB."""
_SPARE = 32 << 20
"""Bytes at the heap's end that are kept for what comes next; else pages come and go with every tensor."""


def hold_memory() -> None:
    """For a process that does nothing but make lines, before it loads a voice. Does nothing where there is no glibc."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is None:
        return
    # One heap for all threads: of two, each would keep holes that the other could use.
    mallopt(_M_ARENA_MAX, 1)
    mallopt(_M_MMAP_THRESHOLD, _OWN_PAGES)
    mallopt(_M_TRIM_THRESHOLD, _SPARE)
