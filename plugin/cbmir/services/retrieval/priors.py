"""When the own patient's other studies were made, and how many of each kind are listed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from cbmir.index.base import Ranking


def when(own: date | None, other: date | None) -> str | None:
    """When another study was made: `before` the own one, on the `same day` or `after` it; None where a date is
    missing."""
    if own is None or other is None:
        return None
    return "same day" if other == own else "before" if other < own else "after"


def shared(rankings: Sequence[Ranking], k: int) -> Ranking:
    """The k nearest of several rankings, none of which loses its share to the others: where it has so many, the
    k-th part is its own."""
    share = k // max(1, len(rankings))
    own = [hit for ranking in rankings for hit in ranking[:share]]
    others = _by_distance([hit for ranking in rankings for hit in ranking[share:]])
    return _by_distance([*own, *others[: k - len(own)]])


def _by_distance(ranking: Ranking) -> Ranking:
    return sorted(ranking, key=lambda hit: (hit[1], hit[0]))
