"""Whole lists from servers that page well, badly or not at all (PS3.18 8.3.4.4)."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any

from cbmir.errors import ArchiveGarbled

PAGE = 500
"""Entries asked for at once: Orthanc takes 5 ms for each object it lists."""

PASSES = 4
"""A list that changes while it is read is read again from its beginning, at most so often in all."""

Entry = dict[str, Any]
"""An entry of a list, as JSON."""

Ask = Callable[[int, int], tuple[list[Entry], bool]]
"""Asks for entries by limit and offset; gives them, and whether the server says that it left some out."""


def listed(ask: Ask, key: Callable[[Entry], str], who: str) -> Iterator[Entry]:
    """Every entry of a list, each once.

    A page begins with the last entry of the one before, which shows whether the list moved meanwhile, so that an
    entry would be passed over; and the list ends where no new UID comes, whatever the server makes of `limit` and
    `offset`.

    Args:
        ask: asks the server.
        key: the UID by which an entry is known.
        who: begins an error's sentence.

    Raises:
        cbmir.errors.ArchiveGarbled: if the list cannot be had as a whole.
    """
    seen: set[str] = set()
    for _ in range(PASSES):
        if (yield from _passed(ask, key, who, seen)):
            return
    remedy = "Narrow the Study Dates that are indexed, or ask when the archive is quiet."
    raise ArchiveGarbled(f"{who} lists in another order each time it is asked.", remedy)


def _passed(ask: Ask, key: Callable[[Entry], str], who: str, seen: set[str]) -> Generator[Entry, None, bool]:
    """One pass through the list, which gives what was not `seen`; returns whether the list held still."""
    here: set[str] = set()
    offset, last = 0, ""
    while True:
        entries, cut = ask(PAGE, offset)
        uids = [key(entry) for entry in entries]
        new = set(uids) - here
        yield from _unseen(zip(uids, entries, strict=True), seen)
        if last and last not in uids and (new or not uids):
            return False
        if not new:
            _refuse_cut(cut, who, len(here))
            return True
        here |= new
        last = uids[-1] if len(uids) > 1 else ""
        offset += len(uids) - bool(last)


def _unseen(found: Iterable[tuple[str, Entry]], seen: set[str]) -> Iterator[Entry]:
    for each, entry in found:
        if each not in seen:
            seen.add(each)
            yield entry


def _refuse_cut(cut: bool, who: str, count: int) -> None:
    """A server that says that there is more, but never gives it, must not pass for one that has no more."""
    if cut:
        remedy = "Raise the limit of answers in the archive's configuration, or narrow the Study Dates."
        raise ArchiveGarbled(f"{who} cuts its list off after {count} entries, and ignores the offset.", remedy)
