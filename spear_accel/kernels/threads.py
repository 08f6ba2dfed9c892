"""How many threads to compute with on a machine that others use too.

Threads of the OpenMP runtime spin while they wait for each other; beside another busy process two of them can be ten
times slower than one. Knows nothing about what is computed.
"""

from __future__ import annotations

import os
from pathlib import Path

CGROUP_QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""Where Linux says how much of the processors a container may use: microseconds and their period, or `max`."""


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
    return max(1, round(available * (1.0 - min(1.0, max(0.0, busy)))))


def available_cores(quota: Path = CGROUP_QUOTA) -> float:
    """Cores that this process may use, by its affinity and by its control group's quota where the system has them."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux alone has it
    cores = float(len(affinity(0)) if affinity else os.cpu_count() or 1)
    try:
        allowed, period = quota.read_text().split()
    except (OSError, ValueError):
        return cores
    return cores if allowed == "max" else min(cores, int(allowed) / int(period))


def _share_busy() -> float:
    """Load of the last minute as a share of the whole machine."""
    return os.getloadavg()[0] / (os.cpu_count() or 1)


def apply() -> None:
    """Set torch's number of threads. Imports torch."""
    count = thread_count()
    if count is not None:
        import torch

        torch.set_num_threads(count)
