"""Limits to the time of an object and of its frames, and to memory, for what at times takes either without end.

A library that does not return can only be stopped by ending its process: so a process has such a limit once it says
that it is there for foreign files alone, as those of `cbmir.services.conversion.isolation` do. It counts the
processor's time, not the clock's: on a busy machine no file is given up that a quiet one would have converted.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

if sys.platform != "win32":
    import resource

SECONDS, SAMPLES_PER_SECOND = 3.0, 30_000_000
"""Of the processor that a frame may take, and how many samples it must have for each second more, usually."""

OBJECT_SECONDS, MEGABYTES_INCLUDED = 10.0, 10.0
"""Of the processor that an object may take, and up to which size; each megabyte more brings a second more."""

BYTES, BYTES_PER_SAMPLE = 200_000_000, 32
"""Of memory that a decoder may take for a frame, and for each of its samples more."""

SIGNAL = getattr(signal, "SIGPROF", None)
"""Ends the process where time is up; there is none on Windows."""


class _Limits:
    """Whether this process has them."""

    enforced = False


def enforce() -> None:
    """Let this process end, by `SIGNAL`, when it has computed beyond a budget. For the main thread."""
    if SIGNAL is not None:
        signal.signal(SIGNAL, signal.SIG_DFL)
        _Limits.enforced = True


def seconds_of_object(size: int) -> float:
    """Of the processor that an object of so many bytes may take, all its frames together."""
    return OBJECT_SECONDS + max(0.0, size / 1e6 - MEGABYTES_INCLUDED)


@contextmanager
def object_budget(size: int) -> Iterator[None]:
    """While this lasts, an object of so many bytes may be worked on; without `enforce` as long as it takes."""
    with _limited(seconds_of_object(size)):
        yield


@contextmanager
def budget(samples: int, per_second: int = SAMPLES_PER_SECOND) -> Iterator[None]:
    """While this lasts, a frame of so many samples may be decoded, as far as its object has time left; without
    `enforce` as long as it takes."""
    with _limited(SECONDS + samples / per_second):
        yield


@contextmanager
def memory_budget(samples: int) -> Iterator[None]:
    """While this lasts, the process may grow by what a frame of so many samples explains: an allocation beyond it
    fails. Without `enforce`, and where the kernel does not count so (all but Linux), as far as it likes."""
    if not _Limits.enforced or sys.platform != "linux":
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    pages = int(Path("/proc/self/statm").read_text().split()[5])
    most = pages * resource.getpagesize() + BYTES + BYTES_PER_SAMPLE * samples
    resource.setrlimit(resource.RLIMIT_DATA, (most if hard < 0 else min(most, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """One timer serves both: a frame's time is its object's too."""
    if not _Limits.enforced:
        yield
        return
    left = signal.getitimer(signal.ITIMER_PROF)[0] or float("inf")
    given = min(seconds, left)
    signal.setitimer(signal.ITIMER_PROF, given)
    try:
        yield
    finally:
        spent = given - signal.getitimer(signal.ITIMER_PROF)[0]
        rest = left - spent
        signal.setitimer(signal.ITIMER_PROF, max(rest, 1e-3) if rest < float("inf") else 0)
