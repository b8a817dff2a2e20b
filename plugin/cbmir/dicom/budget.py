"""A limit to the processor's time of one frame, for a decoder that at times computes without end.

A library that does not return can only be stopped by ending its process: so a process has such a limit once it says
that it is there for foreign files alone, as those of `cbmir.services.isolation` do.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

SECONDS, SAMPLES_PER_SECOND = 3.0, 30_000_000
"""Of the processor that a frame may take, and how many samples it must have for each second more."""

SIGNAL = getattr(signal, "SIGPROF", None)
"""Ends the process where time is up; there is none on Windows."""


class _Limits:
    """Whether this process has them."""

    enforced = False


def enforce() -> None:
    """Let this process end, by `SIGNAL`, when a frame has computed beyond its budget. For the main thread."""
    if SIGNAL is not None:
        signal.signal(SIGNAL, signal.SIG_DFL)
        _Limits.enforced = True


@contextmanager
def budget(samples: int) -> Iterator[None]:
    """While this lasts, a frame of so many samples may be decoded; without `enforce` as long as it takes."""
    if not _Limits.enforced:
        yield
        return
    signal.setitimer(signal.ITIMER_PROF, SECONDS + samples / SAMPLES_PER_SECOND)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
