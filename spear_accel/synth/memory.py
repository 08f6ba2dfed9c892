"""Settings of the C library that keep the memory of a worker process flat after its first lines.

A worker makes tensors of many different sizes for hours, and glibc keeps the holes between them (docs/log.md has the
figures).
"""

from __future__ import annotations

import ctypes
import os

__all__ = ["limit_malloc_growth"]

# Of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_MMAP_BYTES = 4 << 20
"""Larger tensors get pages of their own, which return to the system with the tensor and leave no hole. By default
glibc raises this bound up to 32 MiB."""
_TRIM_BYTES = 32 << 20
"""Free bytes that stay at the heap's end; without them pages would come and go with every tensor."""


def limit_malloc_growth() -> None:
    """Limits how much this process's heap grows; to be called before a voice is loaded. Does nothing without glibc."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is None:
        return
    # One heap for all threads: with two, each would keep holes that the other could use.
    mallopt(_M_ARENA_MAX, 1)
    mallopt(_M_MMAP_THRESHOLD, _MMAP_BYTES)
    mallopt(_M_TRIM_THRESHOLD, _TRIM_BYTES)
