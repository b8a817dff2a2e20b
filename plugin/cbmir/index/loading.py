"""The machine code of searches, loaded before one waits for it."""

from __future__ import annotations

from functools import cache

import numpy as np

from cbmir.index import exact, lookup

MEMBERS = 2 * exact.SPARSE


@cache
def load() -> None:
    """Search a small index in every way that there is: a fifth of a second, and nothing from the second time on.

    Where machine code can be kept on disk and is not yet, it is made, which takes many seconds.
    """
    ids = np.arange(MEMBERS)
    index = exact.build(ids, np.zeros((MEMBERS, 1), np.float32))
    for array in (index.ids, index.rows):
        array.flags.writeable = False  # as mapped ones are: others have machine code of their own
    query = np.zeros((1, 1), np.float32)
    for allowed in (None, ids[:1], ids[: MEMBERS // 2], ids):
        index.search(query, 1, allowed)
    lookup.holds(ids, ids[index.contains(ids)])
