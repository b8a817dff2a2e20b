"""The loss curve of a training as an SVG drawing: the geometry; the template draws it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cbmir.training.history import best as best_epoch

WIDTH, HEIGHT = 560, 220
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 12, 30
"""Margins of the plot within the drawing, in its own units."""


@dataclass(frozen=True)
class Tick:
    """A mark on an axis: where it lies, and what stands beside it."""

    at: float
    text: str


@dataclass(frozen=True)
class Curve:
    """The drawing: points as SVG polylines want them, and the ticks of both axes."""

    train: str
    validation: str
    ends: tuple[float, float]
    """Of the line of the training loss: all of it after one epoch."""
    best: tuple[float, float]
    best_epoch: int
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    last: Mapping[str, Any]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    bottom: int = HEIGHT - BOTTOM


def draw(history: Sequence[Mapping[str, Any]], epochs: int | None = None) -> Curve | None:
    """The curve of a training's history; None while there is nothing to draw.

    Args:
        history: one row an epoch with `epoch` (from 1), `train_loss` and `validation_loss`.
        epochs: how many there will be, for the width of the axis; as many as there are by default.
    """
    rows = [row for row in history if _numbers(row)]
    if not rows:
        return None
    last = max(epochs or 0, int(rows[-1]["epoch"]), 2)
    step = _nice_step(max(_losses(rows)))
    top = max(step * math.ceil(max(_losses(rows)) / step), step)
    best = rows[best_epoch(rows) - 1]
    return Curve(
        train=_line(rows, "train_loss", last, top),
        validation=_line(rows, "validation_loss", last, top),
        ends=(_x(int(rows[-1]["epoch"]), last), _y(float(rows[-1]["train_loss"]), top)),
        best=(_x(int(best["epoch"]), last), _y(float(best["validation_loss"]), top)),
        best_epoch=int(best["epoch"]),
        x_ticks=[Tick(_x(epoch, last), str(epoch)) for epoch in _epoch_ticks(last)],
        y_ticks=[Tick(_y(n * step, top), f"{n * step:.3g}") for n in range(round(top / step) + 1)],
        last=rows[-1],
    )


def _numbers(row: Mapping[str, Any]) -> bool:
    values = (row.get("epoch"), row.get("train_loss"), row.get("validation_loss"))
    return all(isinstance(value, int | float) and math.isfinite(value) for value in values)


def _losses(rows: Sequence[Mapping[str, Any]]) -> list[float]:
    return [float(row[name]) for row in rows for name in ("train_loss", "validation_loss")]


def _x(epoch: int, last: int) -> float:
    return round(LEFT + (WIDTH - LEFT - RIGHT) * (epoch - 1) / (last - 1), 1)


def _y(loss: float, top: float) -> float:
    return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * loss / top, 1)


def _line(rows: Sequence[Mapping[str, Any]], name: str, last: int, top: float) -> str:
    return " ".join(f"{_x(int(row['epoch']), last)},{_y(float(row[name]), top)}" for row in rows)


SMALLEST = 1e-300
"""A loss below which there is nothing to draw: the powers of ten end there."""


def _nice_step(highest: float) -> float:
    """A round distance between ticks that gives three to six of them up to `highest`."""
    if highest < SMALLEST:
        return 1.0
    power = 10.0 ** math.floor(math.log10(highest))
    return next(power * part for part in (0.2, 0.5, 1.0, 2.0) if highest / (power * part) <= 5.001)


def _epoch_ticks(last: int) -> list[int]:
    step = max(1, math.ceil(last / 8))
    return [1, *range(step if step > 1 else 2, last + 1, step)]
