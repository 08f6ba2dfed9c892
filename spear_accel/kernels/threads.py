"""How many threads to compute with on a machine that others use too.

Threads of the OpenMP runtime spin while they wait for each other; beside another busy process two of them can be ten
times slower than one. Knows nothing about what is computed.
"""

from __future__ import annotations

import math
import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
"""Where Linux says how much of the processors a container may use, as microseconds of a period.

Version 2 has both numbers in one file (`max` for no bound), version 1 in two (-1 for no bound).
"""
_VERSION_2, _VERSION_1 = ("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")


def thread_count() -> int | None:
    """A sensible number of threads, or None where OMP_NUM_THREADS has decided already."""
    if os.environ.get("OMP_NUM_THREADS"):
        return None
    return idle_cores()


def idle_cores() -> int:
    """Cores that this process may use and that others leave idle; at least one."""
    return free_cores(available_cores(), _share_busy())


def free_cores(available: float, busy: float) -> int:
    """Of `available` cores those that are idle while the share `busy` (0 to 1) of the machine is not; at least one."""
    # Half a core more would be a thread that the others wait for.
    return max(1, round(math.floor(available) * (1.0 - min(1.0, max(0.0, busy)))))


def available_cores(group: Path = CGROUP) -> float:
    """Cores that this process may use, by its affinity and by its control group's quota, as far as the system tells."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux alone has it
    cores = float(len(affinity(0)) if affinity else os.cpu_count() or 1)
    for files in (_VERSION_2, _VERSION_1):
        try:
            allowed, period = " ".join((group / name).read_text() for name in files).split()
        except (OSError, ValueError):
            continue
        return cores if allowed in ("max", "-1") else min(cores, int(allowed) / int(period))
    return cores


def _share_busy() -> float:
    """Load of the last minute as a share of the whole machine."""
    return os.getloadavg()[0] / (os.cpu_count() or 1)


def apply() -> None:
    """Set torch's number of threads. Imports torch."""
    count = thread_count()
    if count is not None:
        import torch

        torch.set_num_threads(count)


def survive_forks() -> None:
    """Let processes that are forked from this one compute.

    A fork takes none of OpenMP's threads along, but their book-keeping: whoever asks for them waits for ever. A child
    computes with one thread, which asks nobody. Imports torch.
    """
    global _survives_forks
    if not _survives_forks and hasattr(os, "register_at_fork"):
        import torch

        os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))
        _survives_forks = True


_survives_forks = False
