"""Where foreign errors become ours: pydicom and the decoders may raise anything at all on a damaged object."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cbmir.errors import BrokenFile, CbmirError, UnusableInput
from cbmir.quiet import contained

RESEND = "Send or export the object again; if that gives the same file, report it to the vendor of its source."


@contextmanager
def translated(reason: str, error: type[UnusableInput] = BrokenFile, remedy: str = RESEND) -> Iterator[None]:
    """Contain warnings, and turn every foreign exception into `error`.

    The foreign exception's text is left out, since it may quote an element's value, and so a patient's name.

    Args:
        reason: names the file and what was being done, without a full stop.

    Raises:
        cbmir.errors.UnusableInput: of the given leaf; errors of cbmir's own pass as they are.
        MemoryError: as it is, since it says nothing about the file.
    """
    with contained():
        try:
            yield
        except (CbmirError, MemoryError):
            raise
        except Exception as foreign:
            raise error(f"{reason} ({type(foreign).__name__}).", remedy) from foreign
