"""Work on foreign files in processes of its own: a decoder that crashes, hangs or fills the memory ends no more."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import wait
from concurrent.futures.process import BrokenProcessPool
from functools import cached_property
from multiprocessing import get_all_start_methods, get_context
from multiprocessing.context import BaseContext
from threading import Lock
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

from pebble import ProcessExpired, ProcessPool

from cbmir.dicom import budget
from cbmir.errors import Unavailable, Undecodable

SECONDS, SECONDS_PER_MEGABYTE = 60.0, 1.0
"""Time by the clock that a file may take, by its size: it ends what waits for ever. What computes for ever is ended
by `cbmir.dicom.budget`, far earlier."""

PRELOADED = ["cbmir.services.conversion.convert", "cbmir.services.conversion.keep"]
"""What the processes have imported before they begin: they start within milliseconds then."""

REMEDY = "Have the archive send it uncompressed (Explicit VR Little Endian), and report its transfer syntax to us."

BEGINNINGS = 3
"""How often a piece of work is begun at most."""

LOOK_SECONDS = 1.0
"""How often it is looked whether the processes that should do it are still there."""

log = logging.getLogger(__name__)

Given = ParamSpec("Given")
Made = TypeVar("Made")


class Isolation:
    """A few processes that are started when the first piece of work comes, and end with the `with` block.

    Safe for many threads: each waits for its own piece.
    """

    def __init__(self, processes: int = 0) -> None:
        """Use so many processes at once; 0 means one for each core."""
        self.processes = processes or os.cpu_count() or 1
        self._lock = Lock()

    def run(
        self, name: str, size: int, work: Callable[Given, Made], *args: Given.args, **kwargs: Given.kwargs
    ) -> Made:
        """Do a piece of work on a file in one of the processes.

        Args:
            name: what the user calls the file.
            size: of the file in bytes.
            work: a function of some module; what it is given and what it returns are pickled.
            args: for the function.
            kwargs: for the function.

        Raises:
            cbmir.errors.Undecodable: if it crashed, took too long, or ran out of memory.
            cbmir.errors.Unavailable: if the processes are ended from outside again and again.
            Exception: whatever the function raises.
        """
        seconds = SECONDS + SECONDS_PER_MEGABYTE * size / 1e6
        try:
            made: Made = self._made(seconds, size, work, args, kwargs)
            return made
        except TimeoutError as error:
            raise Undecodable(f"{name} took more than {seconds:.0f} seconds to convert.", REMEDY) from error
        except ProcessExpired as error:
            raise Undecodable(f"{name} {_ended(error.exitcode, size)}.", REMEDY) from error
        except MemoryError as error:
            raise Undecodable(f"{name} takes more memory to convert than there is.", REMEDY) from error

    def _made(self, seconds: float, *given: Any) -> Any:
        """What the work gives. What ends a process from outside, as a system does that lacks memory, may have meant
        another file: the work is begun again then."""
        killed: ProcessExpired | None = None
        for _ in range(BEGINNINGS):
            try:
                return self._done(seconds, given)
            except BrokenProcessPool:
                log.warning("the processes that convert were ended from outside and are started again")
            except ProcessExpired as error:
                if error.exitcode != -signal.SIGKILL:
                    raise
                killed = error
        raise killed or Unavailable(
            "The processes that convert files are ended again and again.", "See whether the machine lacks memory."
        )

    def _done(self, seconds: float, given: Sequence[Any]) -> Any:
        with self._lock:
            if "_pool" in vars(self) and not self._pool.active:  # it is, for ever, after an idle process was killed
                self.stop()
            pool = self._pool
        try:
            future = pool.schedule(_within_budget, args=given, timeout=seconds)
        except RuntimeError as error:  # it was broken in this very moment
            raise BrokenProcessPool from error
        while not wait([future], LOOK_SECONDS).done:
            if not pool.active and not future.done():  # of what waited in its queue it tells nobody
                raise BrokenProcessPool
        return future.result()

    @cached_property
    def _pool(self) -> ProcessPool:
        return ProcessPool(max_workers=self.processes, initializer=_prepare, context=_context())

    def stop(self) -> None:
        """End the processes, whatever they do; the next piece of work starts new ones."""
        if pool := vars(self).pop("_pool", None):
            pool.stop()
            pool.join()

    def __enter__(self) -> Isolation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _prepare() -> None:
    """Leave an interrupt from the terminal, which goes to the whole group, to whoever started these processes; and
    let a decoder that computes without end be stopped."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    budget.enforce()


def _within_budget(size: int, work: Callable[..., Made], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Made:
    with budget.object_budget(size):
        return work(*args, **kwargs)


def _ended(exitcode: int, size: int) -> str:
    """Why a process ended, to go on after a file's name."""
    if budget.SIGNAL is not None and exitcode == -budget.SIGNAL:
        most = budget.seconds_of_object(size)
        return f"kept its decoder computing far longer than its pixels explain, or {most:.0f} seconds in all"
    if exitcode == -signal.SIGKILL:
        return f"was ended {BEGINNINGS} times from outside, as by a system that lacks memory"
    return "made its decoder crash"


def _context() -> BaseContext:
    """Processes that begin with nothing of this one's threads, locks and connections."""
    if "forkserver" not in get_all_start_methods():
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context
