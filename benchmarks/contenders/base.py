"""What a contender of `index.py` is: it is built over a gallery once, and then asked."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from cbmir.types import FloatArray, IdArray

FEW, MOST = 0, 1
"""The two parts of a gallery: what a filter keeps that keeps 1 %, and what one keeps that keeps the others."""

SMALL = 100_000
"""Features up to which a graph is made in less than minutes."""
BREADTH = 200
"""Of the walk through a graph: members that it holds at a time, for all libraries alike."""


@dataclass(frozen=True)
class Gallery:
    """What is searched.

    Attributes:
        vectors: float32 (n, d); a vector's id is its row.
        parts: the ids of the two parts, int64, ascending.
    """

    vectors: FloatArray
    parts: tuple[IdArray, IdArray]


class Contender(ABC):
    """One way to find neighbours, by one thread.

    Attributes:
        name: as it stands in the table.
        family: what `--peers` calls it.
        is_exact: whether it means to find the true nearest; an approximate one is marked in the table.
        needs: modules without which it is left out.
        most: features above which it is left out, as it would take minutes; None for no limit.
        lifts: whether `--graphs` lifts that limit.
    """

    name: str
    family: str
    is_exact: bool = True
    needs: tuple[str, ...] = ()
    most: int | None = None
    lifts: bool = False

    def __init__(self) -> None:
        self.opened = ExitStack()

    @abstractmethod
    def build(self, gallery: Gallery) -> None:
        """Make it ready."""

    @abstractmethod
    def search(self, query: FloatArray, k: int) -> Sequence[int]:
        """Ids of the k nearest, for a query float32 (d,)."""

    def processor_seconds(self) -> float:
        """Of the processor that it has used until now, with whatever else this thread has."""
        return time.thread_time()

    def close(self) -> None:
        """Let go of what it has `opened`: folders, connections, servers."""
        self.opened.close()


@runtime_checkable
class Filters(Protocol):
    """A contender that knows filters."""

    def search_part(self, query: FloatArray, k: int, part: int) -> Sequence[int]:
        """Ids of the k nearest of a part, `FEW` or `MOST`."""
        ...


@runtime_checkable
class Batches(Protocol):
    """A contender that answers several queries at once."""

    def search_many(self, queries: FloatArray, k: int) -> Sequence[Sequence[int]]:
        """Ids of the k nearest of each, for queries float32 (m, d)."""
        ...
