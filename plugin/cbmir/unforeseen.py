"""Errors that nobody foresaw are told by kind and place: their words may quote a file, and so a patient. So may
warnings, which are told to nobody."""

from __future__ import annotations

import sys
import threading
import traceback
import warnings


def places(error: BaseException) -> str:
    """Kind and place of an error and of those behind it, the first one first, as a traceback shows them; without
    their words."""
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    here = "".join(traceback.format_tb(error.__traceback__))
    return f"{places(before) if before else ''}{here}{type(error).__name__}\n"


def tell_places_only() -> None:
    """Let what ends this process, or one of its threads, be told by kind and place, and warnings to nobody but who
    asks for them (`python -W`)."""
    sys.excepthook = lambda _kind, error, _trace: _tell(error)
    threading.excepthook = lambda told: _tell(told.exc_value) if told.exc_value else None
    if not sys.warnoptions:
        warnings.simplefilter("ignore")


def _tell(error: BaseException) -> None:
    sys.stderr.write(f"cbmir: something unforeseen happened; please report these places:\n{places(error)}")
