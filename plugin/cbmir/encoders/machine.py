"""What the machine gives to a network: its cores, and memory that stays once it was given."""

from __future__ import annotations

import ctypes
import os
import sys

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # glibc's malloc.h


def cores() -> int:
    """Processors that this process may use: at least 1."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def keep_memory() -> bool:
    """Tell glibc to keep freed memory for the next tensor of the same size, for the rest of the process.

    By default every big tensor goes back to the kernel when it is freed and is faulted in again, page by page,
    when the next one is made: a tenth to a half of a training's time on a CPU. The price is that the process
    stays as large as it once was.

    Returns:
        Whether the C library took it: False wherever it is not glibc.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(M_MMAP_MAX, 0)) and bool(mallopt(M_TRIM_THRESHOLD, -1))
