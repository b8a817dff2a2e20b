"""Where foreign errors become ours: pydicom and the decoders may raise anything at all on a damaged object."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cbmir.errors import BrokenFile, CbmirError, Unforeseen, UnusableInput
from cbmir.quiet import contained

PACKAGE = Path(__file__).parents[1]

MISTAKES = (AssertionError, AttributeError, ImportError, LookupError, NameError, TypeError)
"""Raised in our own code they say nothing of the file, but that the code did not foresee it."""

RESEND = "Send or export the object again; if that gives the same file, report it to the vendor of its source."
REPORT = "Report this place to whoever makes cbmir; after an update, retry what was set aside."


@contextmanager
def translated(reason: str, error: type[UnusableInput] = BrokenFile, remedy: str = RESEND) -> Iterator[None]:
    """Contain warnings, and turn every foreign exception into `error`.

    The foreign exception's text is left out, since it may quote an element's value, and so a patient's name.

    Args:
        reason: names the file and what was being done, without a full stop.

    Raises:
        cbmir.errors.UnusableInput: of the given leaf; errors of cbmir's own pass as they are.
        cbmir.errors.Unforeseen: if it is our own code that is mistaken.
        MemoryError: as it is, since it says nothing about the file.
    """
    with contained():
        try:
            yield
        except (CbmirError, MemoryError):
            raise
        except Exception as foreign:
            if place := _mistaken(foreign):
                said = f"{reason}: cbmir failed at it ({type(foreign).__name__} at {place})."
                raise Unforeseen(said, REPORT) from foreign
            raise error(f"{reason} ({_said(foreign)}).", remedy) from foreign


def _said(foreign: Exception) -> str:
    """An exception's name, or words where that would not be understood; pydicom hides one behind another."""
    hidden = (type(foreign), type(foreign.__context__))
    return "it is nested too deeply" if RecursionError in hidden else hidden[0].__name__


def _mistaken(foreign: Exception) -> str:
    """File and line of our own code that is mistaken; empty where the exception is none of ours."""
    where = traceback.extract_tb(foreign.__traceback__)[-1]
    file = Path(where.filename)
    is_ours = isinstance(foreign, MISTAKES) and file.is_relative_to(PACKAGE)
    return f"{file.relative_to(PACKAGE)}:{where.lineno}" if is_ours else ""
