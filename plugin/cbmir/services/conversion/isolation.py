"""Work on foreign files in processes of its own: a decoder that crashes, hangs or fills the memory ends no more."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from functools import cached_property
from multiprocessing import get_all_start_methods, get_context
from multiprocessing.context import BaseContext
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

from pebble import ProcessExpired, ProcessPool

from cbmir.dicom import budget
from cbmir.errors import Undecodable

SECONDS, SECONDS_PER_MEGABYTE = 60.0, 1.0
"""Time by the clock that a file may take, by its size: it ends what waits for ever. What computes for ever is ended
by `cbmir.dicom.budget`, far earlier."""

PRELOADED = ["cbmir.services.conversion.convert", "cbmir.services.conversion.keep"]
"""What the processes have imported before they begin: they start within milliseconds then."""

REMEDY = "Have the archive send it uncompressed (Explicit VR Little Endian), and report its transfer syntax to us."

Given = ParamSpec("Given")
Made = TypeVar("Made")


class Isolation:
    """A few processes that are started when the first piece of work comes, and end with the `with` block.

    Safe for many threads: each waits for its own piece.
    """

    def __init__(self, processes: int = 0) -> None:
        """Use so many processes at once; 0 means one for each core."""
        self.processes = processes or os.cpu_count() or 1

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
            Exception: whatever the function raises.
        """
        seconds = SECONDS + SECONDS_PER_MEGABYTE * size / 1e6
        future = self._pool.schedule(_within_budget, args=[size, work, args, kwargs], timeout=seconds)
        try:
            made: Made = future.result()
            return made
        except TimeoutError as error:
            raise Undecodable(f"{name} took more than {seconds:.0f} seconds to convert.", REMEDY) from error
        except ProcessExpired as error:
            raise Undecodable(f"{name} {_ended(error.exitcode, size)}.", REMEDY) from error
        except MemoryError as error:
            raise Undecodable(f"{name} takes more memory to convert than there is.", REMEDY) from error

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
    return "made its decoder crash"


def _context() -> BaseContext:
    """Processes that begin with nothing of this one's threads, locks and connections."""
    if "forkserver" not in get_all_start_methods():
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context
