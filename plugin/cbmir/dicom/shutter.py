"""The display shutter: what is hidden of a picture, such as all that the collimator kept dark (PS3.3 C.7.6.11)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from pydicom import Dataset

from cbmir.dicom import values
from cbmir.dicom.aspect import aspect
from cbmir.dicom.groups import macro

EDGES = (
    "ShutterUpperHorizontalEdge",
    "ShutterLowerHorizontalEdge",
    "ShutterLeftVerticalEdge",
    "ShutterRightVerticalEdge",
)
"""Of a rectangle: its first and last row, its first and last column."""

MOST = 1000
"""Vertices of a polygon, more than which are taken for a mistake."""

FARTHEST = 1 << 17
"""Rows and columns; what lies farther off is taken for a mistake: no image is half as large."""

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Shutter:
    """What remains to be seen is within all shapes; rows and columns count from 1.

    Attributes:
        rectangle: first and last row, first and last column that are seen; empty where it has no such shape.
        circle: row and column of its center, and radius in columns; or empty.
        polygon: row and column of each vertex, one after the other; or empty.
        aspect: height of a pixel divided by its width.
    """

    rectangle: tuple[float, ...] = ()
    circle: tuple[float, ...] = ()
    polygon: tuple[float, ...] = ()
    aspect: float = 1.0

    @property
    def said(self) -> str:
        """In words."""
        shapes = {"rectangle": self.rectangle, "circle": self.circle, "polygon": self.polygon}
        return f"outside of the shutter made black: {', '.join(name for name, shape in shapes.items() if shape)}"

    def hidden(self, rows: int, columns: int) -> Mask | None:
        """What it hides of an image of this size, bool (rows, columns); None for nothing and for everything."""
        row, column = np.arange(1.0, rows + 1)[:, None], np.arange(1.0, columns + 1)
        seen = np.ones((rows, columns), np.bool_)
        if self.rectangle:
            top, bottom, left, right = self.rectangle
            seen &= (row >= top) & (row <= bottom) & (column >= left) & (column <= right)
        if self.circle:
            middle, center, radius = self.circle
            seen &= ((row - middle) * self.aspect) ** 2 + (column - center) ** 2 <= radius**2
        if self.polygon:
            seen &= _within(self.polygon, rows, columns)
        return None if seen.all() or not seen.any() else ~seen


def read_shutter(dataset: Dataset, index: int) -> Shutter | None:
    """The shutter of the frame at `index` (0-based), its own or the object's; None without one that makes sense.

    A shape whose measures are missing or senseless is left out, and so is a bitmap, which only presentation states
    have.
    """
    group = macro(dataset, index, "FrameDisplayShutterSequence")
    if not values.has(group, "ShutterShape"):
        return None
    shapes = values.texts(group, "ShutterShape")
    found = Shutter(
        _rectangle(group) if "RECTANGULAR" in shapes else (),
        _circle(group) if "CIRCULAR" in shapes else (),
        _polygon(group) if "POLYGONAL" in shapes else (),
        aspect(dataset, index),
    )
    return found if found.rectangle or found.circle or found.polygon else None


def _rectangle(group: Dataset) -> tuple[float, ...]:
    edges = tuple(each for keyword in EDGES if (each := values.number(group, keyword)) is not None)
    return edges if len(edges) == len(EDGES) else ()


def _circle(group: Dataset) -> tuple[float, ...]:
    center, radius = (
        values.numbers(group, "CenterOfCircularShutter"),
        values.number(group, "RadiusOfCircularShutter"),
    )
    return (*center, radius) if len(center) == 2 and radius else ()


def _polygon(group: Dataset) -> tuple[float, ...]:
    vertices = tuple(values.numbers(group, "VerticesOfThePolygonalShutter"))
    plausible = 6 <= len(vertices) <= 2 * MOST and len(vertices) % 2 == 0
    return vertices if plausible and max(map(abs, vertices)) <= FARTHEST else ()


def _within(polygon: tuple[float, ...], rows: int, columns: int) -> Mask:
    """What a polygon encloses, its edges included."""
    drawn = Image.new("1", (columns, rows))
    points = [(column - 1, row - 1) for row, column in zip(polygon[::2], polygon[1::2], strict=True)]
    ImageDraw.Draw(drawn).polygon(points, fill=1)
    return np.asarray(drawn)
