"""Keeps the warnings and the chatter of foreign decoders, and the words of errors that nobody foresaw, which may
quote a file and so a patient, away from the user and out of the logs."""

from __future__ import annotations

import logging
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

# pydicom's log and warnings quote the values of elements, and so, at times, a patient's name.
logging.getLogger("pydicom").setLevel(logging.CRITICAL)

logging.getLogger("PIL").setLevel(logging.CRITICAL)  # which says of a file what its exception says, too


class _Held(threading.local):
    """Whether this thread is within `contained`."""

    depth = 0


_held = _Held()
_lock = threading.Lock()  # warnings.catch_warnings changes the state of the whole process


def contained() -> AbstractContextManager[None]:
    """While this lasts no warning is shown or raised; one thread at a time, and re-entrant."""
    return nullcontext() if _held.depth else _contained()


@contextmanager
def _contained() -> Iterator[None]:
    with _lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _held.depth = 1
        try:
            yield
        finally:
            _held.depth = 0


def places(error: BaseException) -> str:
    """Kind and place of an error and of those behind it, the first one first, as a traceback shows them; without
    their words."""
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    here = "".join(traceback.format_tb(error.__traceback__))
    return f"{places(before) if before else ''}{here}{type(error).__name__}\n"


def tell_places_only() -> None:
    """Let what ends this process, or one of its threads, be told by kind and place."""
    sys.excepthook = lambda _kind, error, _trace: _tell(error)
    threading.excepthook = lambda told: _tell(told.exc_value) if told.exc_value else None


def _tell(error: BaseException) -> None:
    sys.stderr.write(f"cbmir: something unforeseen happened; please report these places:\n{places(error)}")
