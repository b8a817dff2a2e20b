"""Lists that are shown a page at a time."""

from __future__ import annotations

import math

from flask import request

LAST_PAGE = 1_000_000


def asked() -> int:
    """The number of the page that the address asks for; 1 where it names none, or none that there can be."""
    return min(max(request.args.get("page", 1, type=int), 1), LAST_PAGE)


def last(total: int, on_a_page: int) -> int:
    """How many pages so many things take; an empty list has one, too."""
    return max(math.ceil(total / on_a_page), 1)


def numbers(page: int, last: int) -> list[int | None]:
    """The page numbers to offer, None for a gap: the first, the last, and those around this one."""
    near = sorted({1, last, *range(max(page - 2, 1), min(page + 2, last) + 1)})
    offered: list[int | None] = []
    for number in near:
        if offered and offered[-1] is not None and number - offered[-1] > 1:
            offered.append(None)
        offered.append(number)
    return offered
