"""A query with its hits, as a report shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Shown:
    """A picture of an example: PNG bytes and its label; of a hit also the distance and whether it is relevant."""

    png: bytes
    label: str
    distance: float = 0.0
    is_relevant: bool = True


@dataclass(frozen=True)
class Example:
    """One query and what it retrieved, nearest first."""

    query: Shown
    hits: Sequence[Shown]
