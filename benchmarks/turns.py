"""Times of several ways to do the same, by turns: so a neighbour's load on the machine hits all alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

SLOW_MS = 1000
TURNS_OF_SLOW = 3
"""Of a row that takes longer than that: else one run would take hours."""


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        task: what is to be done; rows of a task stand together.
        name: who does it.
        work: what is timed, by the number of its turn.
        processor_seconds: of the processor, used until now by whoever works.
        before: not timed, before each turn.
        right: not timed: the share of the answer that is right, where that is asked.
    """

    task: str
    name: str
    work: Callable[[int], Any]
    processor_seconds: Callable[[], float] = time.thread_time
    before: Callable[[], Any] = lambda: None
    right: Callable[[int, Any], float] | None = None


@dataclass(frozen=True)
class Turn:
    """Milliseconds by the wall clock and of the processor, and the share of the answer that was right."""

    wall: float
    processor: float
    right: float | None


def take(rows: Sequence[Row], turns: int) -> dict[tuple[str, str], list[Turn]]:
    """The turns of each row, by its task and name; a slow one sits out after its third.

    One turn before them, which loads what stays and tells who is slow, does not count.
    """
    first = {(row.task, row.name): _taken(row, 0) for row in rows}
    taken: dict[tuple[str, str], list[Turn]] = {key: [] for key in first}
    for number in range(turns):
        for row in rows:
            key = row.task, row.name
            if number < TURNS_OF_SLOW or first[key].wall < SLOW_MS:
                taken[key].append(_taken(row, number))
    return taken


def _taken(row: Row, number: int) -> Turn:
    row.before()
    processor, wall = row.processor_seconds(), time.perf_counter()
    answer = row.work(number)
    wall, processor = time.perf_counter() - wall, row.processor_seconds() - processor
    return Turn(1e3 * wall, 1e3 * processor, row.right(number, answer) if row.right else None)


def figures(turns: list[Turn]) -> dict[str, Any]:
    """Medians, quartiles of the wall clock, and the mean share that was right."""
    low, median, high = statistics.quantiles([each.wall for each in turns], n=4, method="inclusive")
    right = [each.right for each in turns if each.right is not None]
    return {
        "turns": len(turns),
        "wall_ms": median,
        "quartiles_ms": [low, high],
        "processor_ms": statistics.median(each.processor for each in turns),
        "found": statistics.mean(right) if right else None,
    }
