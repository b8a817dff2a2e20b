"""The pencils that the phantoms are drawn with: soft shapes, clouds, strokes and grain on float32 canvases.

A canvas has shape (rows, columns). Its coordinates run from -1 at the top edge to +1 at the bottom edge, and
in the same unit from left to right, so that a circle is round; x is 0 in the middle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

Field = npt.NDArray[Any]
"""Values over a canvas or over time, float32 where it matters for speed."""

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Canvas:
    """The coordinates of every pixel.

    Attributes:
        x: float32, shape (rows, columns); increases to the right.
        y: float32, shape (rows, columns); increases downwards.
    """

    x: Field
    y: Field

    @classmethod
    def of(cls, rows: int, columns: int) -> Canvas:
        """The coordinates of a picture of `rows` by `columns` pixels."""
        half = rows / 2
        y, x = np.mgrid[0:rows, 0:columns].astype(np.float32)
        return cls(x=(x - (columns - 1) / 2) / half, y=(y - (rows - 1) / 2) / half)

    @property
    def shape(self) -> tuple[int, int]:
        rows, columns = self.x.shape
        return rows, columns

    def warped(self, rng: np.random.Generator, amount: float, cells: int = 3) -> Canvas:
        """The same canvas bent softly by up to about `amount`, so that nothing drawn on it is a textbook shape."""
        return Canvas(
            x=self.x + amount * (clouds(rng, self.shape, cells, 1) - 0.5) * 2,
            y=self.y + amount * (clouds(rng, self.shape, cells, 1) - 0.5) * 2,
        )


def step(distance: Field, edge: float) -> Field:
    """0 where `distance` is well below zero, 1 where it is well above, with a soft edge of about `edge`."""
    part: Field = np.clip(distance * (0.75 / edge) + 0.5, 0, 1)
    softened: Field = part * part * (3 - 2 * part)
    return softened


def ellipse(canvas: Canvas, centre: tuple[float, float], radii: tuple[float, float], angle: float = 0.0) -> Field:
    """How far inside an ellipse each pixel lies: 1 at the centre, 0 on the rim, negative outside."""
    x, y = canvas.x - centre[0], canvas.y - centre[1]
    cos, sin = np.cos(angle), np.sin(angle)
    across, along = (cos * x + sin * y) / radii[0], (cos * y - sin * x) / radii[1]
    inside: Field = (1 - np.sqrt(across * across + along * along)).astype(np.float32)
    return inside


def ball(inside: Field) -> Field:
    """The thickness, 0 to 1, of a solid whose outline is the zero line of `inside`."""
    thickness: Field = np.sqrt(np.clip(1 - np.square(1 - np.clip(inside, 0, 1)), 0, 1))
    return thickness


def blob(canvas: Canvas, centre: tuple[float, float], radius: float) -> Field:
    """A Gaussian spot of height 1."""
    return np.exp(-(np.square(canvas.x - centre[0]) + np.square(canvas.y - centre[1])) / (2 * radius**2))


def clouds(rng: np.random.Generator, shape: tuple[int, int], cells: int, octaves: int = 3) -> Field:
    """Fractal noise from 0 to 1: `cells` bumps from top to bottom, each octave twice as fine and half as high."""
    total = np.zeros(shape, np.float32)
    for octave in range(octaves):
        rows = cells * 2**octave + 1
        columns = max(2, round(rows * shape[1] / shape[0]))
        grid = Image.fromarray(rng.random((rows, columns), np.float32))
        total += np.asarray(grid.resize(shape[::-1], Image.Resampling.BICUBIC)) / 2**octave
    noise: Field = np.clip(total / (2 - 2 ** (1 - octaves)), 0, 1)
    return noise


def tube(canvas: Canvas, start: tuple[float, float], end: tuple[float, float]) -> tuple[Field, Field]:
    """Position along a segment (0 at its start, 1 at its end, clipped) and distance from it, for each pixel."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    along = np.clip(((canvas.x - start[0]) * dx + (canvas.y - start[1]) * dy) / (dx * dx + dy * dy), 0, 1)
    x, y = canvas.x - start[0] - along * dx, canvas.y - start[1] - along * dy
    distance = np.sqrt(x * x + y * y)
    return along.astype(np.float32), distance.astype(np.float32)


class Pen:
    """Draws lines of changing width, twice as fine as the canvas and then averaged: their edges are soft."""

    FINER = 2

    def __init__(self, shape: tuple[int, int]) -> None:
        rows, columns = shape
        self._paper = Image.new("F", (columns * self.FINER, rows * self.FINER))
        self._draw = ImageDraw.Draw(self._paper)

    def stroke(self, points: Points, widths: Sequence[float], height: float) -> None:
        """Draw a line with round joints.

        Args:
            points: at least two (x, y).
            widths: half the line's width at each point.
            height: of the line; it replaces what was there.
        """
        pixels = [self._pixel(point) for point in points]
        radii = [max(width * self._paper.height / 2, 0.5) for width in widths]
        for start, end, radius in zip(pixels, pixels[1:], radii, strict=False):
            self._draw.line((start, end), fill=height, width=round(2 * radius))
        for (x, y), radius in zip(pixels, radii, strict=True):
            self._draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=height)

    def result(self) -> Field:
        """What was drawn: float32, in the canvas's shape."""
        return np.asarray(self._paper.reduce(self.FINER))

    def _pixel(self, point: tuple[float, float]) -> tuple[float, float]:
        half = self._paper.height / 2
        return point[0] * half + self._paper.width / 2, point[1] * half + half


def posed(picture: Field, move: tuple[float, float], angle: float, zoom: float) -> Field:
    """The picture of a subject that stands a little askew: shifted by `move`, turned by `angle` radians, zoomed."""
    rows, columns = picture.shape
    cos, sin = np.cos(angle) / zoom, np.sin(angle) / zoom
    x, y = columns / 2 * (1 + move[0]), rows / 2 * (1 + move[1])
    matrix = (cos, sin, columns / 2 - cos * x - sin * y, -sin, cos, rows / 2 + sin * x - cos * y)
    canvas = Image.fromarray(picture).transform(
        (columns, rows), Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC
    )
    return np.asarray(canvas)


def blur(paper: Field, sigma: float) -> Field:
    """A Gaussian blur of `sigma` pixels; beyond its edges the picture is mirrored."""
    reach = int(3 * sigma) + 1
    weights = np.exp(-np.square(np.arange(-reach, reach + 1) / sigma) / 2)
    weights = (weights / weights.sum()).astype(np.float32)
    wide = np.pad(paper, reach, mode="reflect")
    rows, columns = paper.shape
    down = sum(weight * wide[shift : shift + rows] for shift, weight in enumerate(weights))
    smooth: Field = sum(weight * down[:, shift : shift + columns] for shift, weight in enumerate(weights))
    return smooth
