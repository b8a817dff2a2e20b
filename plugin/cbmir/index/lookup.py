"""Ids looked up among ids, compiled: in a table where they are dense, as of a database, else by their nearness."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cbmir.compiling import compiled
from cbmir.index.prefetch import prefetch
from cbmir.types import IdArray

Places = npt.NDArray[np.int64]
Table = npt.NDArray[np.int32]
ABSENT = -1
SPREAD = 4
"""Ids from the lowest to the highest, to one that is held, up to which they are kept in a table."""
AHEAD = 32
"""So many ids before it is looked up the place of one is fetched."""


@compiled
def places(held: IdArray, wanted: IdArray) -> Places:
    """Where each wanted id is among the held ones, `ABSENT` where it is not: int64 (m,).

    Ids are whole numbers, none comes twice: one that is g higher than another is at most g places behind it, and
    just there where no id between them is missing. Where ids are dense, as a database gives them, the first look
    hits; elsewhere the place is halved in from there.

    Args:
        held: int64 (n,), ascending, each once.
        wanted: int64 (m,), best ascending; ids in another order are found too, only slower.
    """
    found = np.full(wanted.shape[0], ABSENT, np.int64)
    before, at = np.int64(0), np.int64(-1)  # the id looked up last, and its place; -1 where it has none
    lowest = np.int64(0)
    for each in range(wanted.shape[0]):
        id = wanted[each]
        # no array is read for this guess: while it is right, the next ones are fetched before it is confirmed
        place = at + (id - before)
        if at < 0 or place <= at or place >= held.shape[0] or held[place] != id:
            if each > 0 and id < wanted[each - 1]:
                lowest = np.int64(0)
            place = _first_not_below(held, id, lowest)
        if place < held.shape[0] and held[place] == id:
            found[each], before, at = place, id, place
        else:
            at = np.int64(-1)
        lowest = place
    return found


def holds(held: IdArray, wanted: IdArray) -> npt.NDArray[np.bool_]:
    """Whether each wanted id is among the held ones: bool (m,); both as in `places`."""
    found: npt.NDArray[np.bool_] = places(held, wanted) != ABSENT
    return found


def table(held: IdArray, values: Places) -> Table:
    """A value for each id from the lowest held one to the highest, int32; `ABSENT` where none is held.

    Args:
        held: int64 (n,), ascending, each once.
        values: int64 (n,), theirs, at least 0 and below 2^31.

    Returns:
        An empty one where none is held, or less than one in `SPREAD` of them would be.
    """
    span = int(held[-1]) - int(held[0]) + 1 if len(held) else 0
    if span > SPREAD * len(held):
        return np.empty(0, np.int32)
    made = np.full(span, ABSENT, np.int32)
    if span:
        made[held - held[0]] = values
    return made


@compiled
def told(table: Table, lowest: int, wanted: IdArray) -> Places:
    """What a table, whose first id is `lowest`, has of the wanted ids: int64 (at most m,), without those absent."""
    found = np.empty(wanted.shape[0], np.int64)
    count, highest = 0, lowest + (table.shape[0] - 1)
    for each, id in enumerate(wanted):
        prefetch(table, wanted[min(each + AHEAD, wanted.shape[0] - 1)] - lowest)
        if lowest <= id <= highest and table[id - lowest] != ABSENT:
            found[count] = table[id - lowest]
            count += 1
    return found[:count]


@compiled
def keep_only(table: Table, lowest: int, wanted: IdArray, kept: npt.NDArray[np.bool_]) -> int:
    """Keep in a mask over what a table has only those whose ids are wanted; how many they are.

    Where nearly all are wanted this is far quicker than to look up each: they are read in order, and only those
    between them, which are not wanted, are looked up and written.

    Args:
        table: int32 (m,), whose first id is `lowest`.
        wanted: int64, ascending, each once.
        kept: bool (n,), all true; false afterwards where an id is not wanted.
    """
    highest, following, gone = lowest + (table.shape[0] - 1), lowest, 0
    for id in wanted[np.searchsorted(wanted, lowest) : np.searchsorted(wanted, highest, "right")]:
        if id != following:
            gone += _leave_out(table, following - lowest, id - lowest, kept)
        following = id + 1
    gone += _leave_out(table, following - lowest, table.shape[0], kept)
    return len(kept) - gone


@compiled
def _leave_out(table: Table, first: int, end: int, kept: npt.NDArray[np.bool_]) -> int:
    """Take from a mask what a table has from one place to before another; how many they are."""
    gone = 0
    for place in range(first, end):
        if table[place] != ABSENT:
            kept[table[place]] = False
            gone += 1
    return gone


@compiled
def _first_not_below(held: IdArray, id: np.int64, lowest: np.int64) -> np.int64:
    """The first place, not before `lowest`, of an id that is at least `id`; n if there is none."""
    if lowest >= held.shape[0] or held[lowest] >= id:
        return lowest
    highest: np.int64 = min(lowest + (id - held[lowest]), np.int64(held.shape[0] - 1))
    if held[highest] < id:
        return np.int64(held.shape[0])
    step = 1
    while highest - step > lowest and held[highest - step] >= id:
        highest -= step
        step *= 2
    lowest = max(lowest, highest - step)
    while highest - lowest > 1:  # the one at `lowest` is below, the one at `highest` is not
        middle = (lowest + highest) >> 1
        if held[middle] < id:
            lowest = middle
        else:
            highest = middle
    return highest
