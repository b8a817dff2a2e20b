"""Keeps the warnings and the chatter of foreign decoders away from the user and out of the logs."""

from __future__ import annotations

import logging
import threading
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
