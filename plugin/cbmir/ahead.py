"""Items made in a process of its own, ahead of who asks for them: the second core works while the first does."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from cbmir.errors import CbmirError

Made = TypeVar("Made")


def made_ahead(make: Callable[..., Iterator[Made]], *args: Any) -> Iterator[Made]:
    """What an iterator gives that runs in another process: it makes the next item while the last one is used.

    Args:
        make: a function of some module; its arguments and its items are pickled.
        args: for the function.

    Raises:
        cbmir.errors.CbmirError: if the process is gone before its last item.
        Exception: whatever the function raises.
    """
    context = get_context("spawn")  # with nothing of this process's threads, locks and connections
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_make, args=(theirs, make, args), daemon=True)
    process.start()
    theirs.close()
    try:
        while (item := _next(ours)) is not None:
            yield item
    finally:
        ours.close()
        process.terminate()
        process.join()


def _next(ours: Connection) -> Any:
    try:
        item, error = ours.recv()
    except EOFError as gone:
        raise CbmirError("A process that read ahead has ended before its time.", "Repeat.") from gone
    if error is not None:
        raise error
    return item


def _make(theirs: Connection, make: Callable[..., Iterator[Any]], args: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's goes to the whole group; who started this ends it
    with suppress(BrokenPipeError):  # whoever asked is gone, or wants no more
        try:
            for item in make(*args):
                theirs.send((item, None))
            theirs.send((None, None))
        except Exception as error:  # noqa: BLE001 - it is raised where the items are taken
            theirs.send((None, error))
