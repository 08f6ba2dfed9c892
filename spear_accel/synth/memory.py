"""Settings that keep the memory of a worker process where it is after its first lines.

A worker makes tensors of ever other sizes for hours. With the defaults of its C library and of oneDNN it would grow by
a sixth over a thousand lines (docs/log.md has the figures).
"""

from __future__ import annotations

import ctypes
import os

__all__ = ["hold_memory"]

# Of glibc's malloc.h.
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8
_OWN_PAGES = 4 << 20
"""Bytes. Larger tensors get pages of their own, which go back when they do, and leave no holes behind. Left to itself
glibc moves this bound up to 32 MiB."""
_PRIMITIVES = "64"
"""Kernels that oneDNN keeps, one for each shape of a product; it would keep 1,024, and shapes go on changing."""


def hold_memory() -> None:
    """For a process that does nothing but make lines, before it loads a voice. Does nothing where there is no glibc."""
    # oneDNN reads it when it keeps its first kernel.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", _PRIMITIVES)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is not None:
        # One heap for all threads: of two, each would keep holes that the other could use.
        mallopt(_M_ARENA_MAX, 1)
        mallopt(_M_MMAP_THRESHOLD, _OWN_PAGES)
