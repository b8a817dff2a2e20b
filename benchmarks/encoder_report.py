"""What the benchmarks of encoders print: figures with their intervals, and goals beside what was reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from encoder_trials import CLAIMED, DEPTHS, LABEL, MACRO, MODALITY, NEAR, Figure, figures, less, near

from cbmir.evaluation.scores import Table

Figures = Mapping[str, Figure]


@dataclass(frozen=True)
class Comparison:
    """Networks that were asked the same.

    Attributes:
        frozen: what each frozen network found, by its name.
        others: what each of our own found, by its name; the first is the one that is judged.
        modalities: of the queries.
    """

    frozen: dict[str, Table]
    others: dict[str, Table]
    modalities: npt.NDArray[np.str_]

    def tables(self) -> dict[str, dict[str, Figure]]:
        """The figures of each network."""
        return {name: figures(each, self.modalities) for name, each in {**self.frozen, **self.others}.items()}

    def ours(self) -> Table:
        """What the judged network found."""
        return next(iter(self.others.values()))

    def lead(self, tables: Mapping[str, Figures]) -> dict[str, tuple[str, Figure]]:
        """Of each figure the frozen network that is best in it, and by how much ours is above that one."""
        names = next(iter(tables.values()))
        best = {each: max(self.frozen, key=lambda name: tables[name][each].value) for each in names}
        ahead = {name: figures(less(self.ours(), self.frozen[name]), self.modalities) for name in {*best.values()}}
        return {each: (name, ahead[name][each]) for each, name in best.items()}


@dataclass(frozen=True)
class Goal:
    """One of the project's own goals: what is measured, and the number that it has to come to."""

    what: str
    wanted: float
    reached: Figure
    above: bool = False
    """Whether it has to lie above the number, and not only at it."""

    @property
    def is_reached(self) -> bool:
        """By the mean; the interval says how sure that is."""
        return self.reached.value > self.wanted if self.above else self.reached.value >= self.wanted

    def as_json(self) -> dict[str, Any]:
        """As the report keeps it."""
        return {"goal": self.what, "wanted": self.wanted, **self.reached.as_json(), "is_reached": self.is_reached}


def blocks(modalities: npt.NDArray[np.str_]) -> list[list[str]]:
    """The names of the figures of each table that is printed."""
    deep = [[f"{what} P@{depth}" for depth in DEPTHS] for what in (MODALITY, LABEL)]
    return [*deep, [MACRO, CLAIMED, *(f"{name} P@{NEAR}" for name in np.unique(modalities).tolist())]]


def show(comparison: Comparison, tables: Mapping[str, Figures], lead: Mapping[str, tuple[str, Figure]]) -> None:
    """Print every figure with its interval of 95 %, networks one below the other."""
    first = next(iter(comparison.others))
    for names in blocks(comparison.modalities):
        rows = [[name, *(cell(told[each]) for each in names)] for name, told in tables.items()]
        rows.append(["best of the frozen networks", *(lead[each][0] for each in names)])
        rows.append([f"{first}, less that one", *(cell(lead[each][1], signed=True) for each in names)])
        markdown(["network, numbers", *names], rows)


def show_labels(table: Table) -> None:
    """Print the precision@5 of each label; one whose queries are of a single group is no ground for a claim."""
    rows = []
    for name, part in zip(table.asked(), table.parts(), strict=True):
        groups = len(np.unique(table.groups[part]))
        rows.append([name, str(int(part.sum())), str(groups), cell(near(table, part))])
    markdown(["label", "queries", "groups", f"P@{NEAR}"], rows)


def show_goals(goals: Sequence[Goal]) -> None:
    """Print what was to be reached, what was, and whether that is enough."""
    rows = [
        [
            goal.what,
            f"{'above' if goal.above else 'at least'} {goal.wanted:.4g}",
            cell(goal.reached, digits=4),
            "yes" if goal.is_reached else "no",
        ]
        for goal in goals
    ]
    markdown(["goal", "wanted", "reached", "yes or no"], rows)


def cell(figure: Figure, signed: bool = False, digits: int = 3) -> str:
    """A mean and its interval."""
    form = f"{'+' if signed else ''}.{digits}f"
    if figure.interval is None:
        return f"{figure.value:{form}} (one group)"
    low, high = (f"{each:{form}}" for each in figure.interval)
    return f"{figure.value:{form}} ({low} to {high})"


def markdown(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table in Markdown, its columns one below the other, and an empty line."""
    widths = [max(len(row[place]) for row in (heading, *rows)) for place in range(len(heading))]
    for row in (heading, ["-" * width for width in widths], *rows):
        print(f"| {' | '.join(each.ljust(width) for each, width in zip(row, widths, strict=True))} |")
    print()


def as_json(tables: Mapping[str, Figures], lead: Mapping[str, tuple[str, Figure]]) -> dict[str, Any]:
    """All that is printed, for programs to read."""
    return {
        "table": {name: {each: one.as_json() for each, one in told.items()} for name, told in tables.items()},
        "ours_less_the_best": {each: {"best": name, **one.as_json()} for each, (name, one) in lead.items()},
    }
