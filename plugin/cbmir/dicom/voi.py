"""Values of interest to grey: VOI LUT and windows (PS3.3 C.11.2), and what to do without either."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from cbmir.dicom import values
from cbmir.dicom.groups import macro
from cbmir.dicom.layout import Layout
from cbmir.dicom.rendering import Rendering
from cbmir.dicom.tables import Table, is_little_endian, read_table
from cbmir.pixels.contrast import HIGH, LOW, stretch
from cbmir.types import FloatArray

WindowFunction = Callable[[npt.NDArray[Any], float, float], FloatArray]

Range = Callable[[tuple[float, float]], tuple[float, float]]
"""The values at two percentiles of the frame, padding left out; low < high."""

ALL = 0.0, 100.0
"""Percentiles between which all values lie."""

PERCENTILES: dict[str, tuple[float, float]] = {
    "PT": (0.0, 99.9),
    "NM": (0.0, 99.9),
    "RTDOSE": ALL,
    "SEG": ALL,
}
"""Percentiles that become black and white where an object says nothing, by modality, if not those of
`cbmir.pixels.contrast`: in emission pictures the few hottest pixels are the finding, doses and masks have no
outliers."""

NARROWEST = 1.0
"""Width below which there is no LINEAR window (PS3.3 C.11.2.1.2.1), and at which it knows black and white only. It
counts whole values: of fractions, such as doses and ratios, so narrow a window is meant as LINEAR_EXACT."""

LOWEST = {"CT": -1024.0}
"""Values of a modality below which nothing counts for percentiles where anything lies above: less than nothing
absorbs no X-ray, and what lies there is padding that is not declared."""


@dataclass(frozen=True)
class Voi:
    """How values of the modality become grey: [0, 1], not yet inverted; and the same in words."""

    apply: Callable[[npt.NDArray[Any]], FloatArray]
    said: str


def linear(inputs: npt.NDArray[Any], center: float, width: float) -> FloatArray:
    """LINEAR, the default: the width counts whole values (PS3.3 C.11.2.1.2.1). [0, 1]; width >= 1."""
    if width <= 1:
        return (inputs > center - 0.5).astype(np.float32)
    low = center - 0.5 - (width - 1) / 2
    return stretch(inputs, low, low + width - 1)


def linear_exact(inputs: npt.NDArray[Any], center: float, width: float) -> FloatArray:
    """LINEAR_EXACT: the width is a length (PS3.3 C.11.2.1.3.2). [0, 1]; width > 0."""
    return stretch(inputs, center - width / 2, center + width / 2)


def sigmoid(inputs: npt.NDArray[Any], center: float, width: float) -> FloatArray:
    """SIGMOID: 1 / (1 + exp(-4 (x - center) / width)) (PS3.3 C.11.2.1.3.1). (0, 1); width > 0."""
    exponent = np.clip(-4.0 * (inputs.astype(np.float64) - center) / width, -700.0, 700.0)
    return np.nan_to_num(1.0 / (1.0 + np.exp(exponent)), nan=0.0).astype(np.float32)


FUNCTIONS: dict[str, WindowFunction] = {"LINEAR": linear, "LINEAR_EXACT": linear_exact, "SIGMOID": sigmoid}
"""By VOI LUT Function (0028,1056); an unknown one is taken for LINEAR."""


def choose(
    dataset: Dataset, layout: Layout, index: int, rendering: Rendering, as_stored: bool, ranged: Range
) -> Voi:
    """Choose how a frame becomes grey.

    What is wanted comes first. Else, in this order: the object's VOI LUT; its window; without either, all segments
    or fractions of a segmentation; the whole range that can be stored where that is at most 8 bits and was not
    rescaled, since such pictures were made for the screen; else the percentiles of `PERCENTILES` and
    `cbmir.pixels.contrast`, of this frame.

    Args:
        dataset: the object's header.
        layout: the object's.
        index: of the frame, 0-based.
        rendering: what is wanted.
        as_stored: whether the modality left the stored values as they are.
        ranged: gives the frame's percentiles; called only if they are needed.
    """
    described = macro(dataset, index, "FrameVOILUTSequence")
    fractions = layout.keyword != "PixelData"
    if isinstance(rendering.window, tuple):
        return _windowed(described, *rendering.window, "as asked", fractions=fractions)
    if rendering.window == "full":
        return _stretched(*ranged(ALL), "all values")
    little_endian = is_little_endian(dataset)
    if own := _own(described, rendering.window_number, little_endian, fractions, lambda: ranged(ALL)):
        return own
    if rendering.window == "auto" and (white := _segments(dataset)):
        return _stretched(0.0, white, "segments")
    if rendering.window == "auto" and as_stored and layout.stored <= 8:
        return _stretched(*_storable(layout), f"all of {layout.stored} bits")
    percentiles = _percentiles(dataset) if rendering.window == "auto" else ALL
    return _stretched(*ranged(percentiles), f"percentiles {percentiles[0]:g} to {percentiles[1]:g}")


def is_given(dataset: Dataset, index: int, rendering: Rendering) -> bool:
    """Whether the grey scale is known before a pixel is, since the object or whoever asks names a window."""
    if not isinstance(rendering.window, str):
        return True
    described = macro(dataset, index, "FrameVOILUTSequence")
    return rendering.window != "full" and bool(_windows(described))


def own_windows(dataset: Dataset, index: int) -> int:
    """How many VOI LUTs and windows a frame has to choose from; at least 1: without any there is the default."""
    described = macro(dataset, index, "FrameVOILUTSequence")
    tables = len(values.items(described, "VOILUTSequence"))
    return max(1, tables + len(_windows(described)))


def _own(
    described: Dataset, number: int, little_endian: bool, fractions: bool, inputs: Callable[[], tuple[float, float]]
) -> Voi | None:
    """The VOI LUT or window of this number, LUTs counted first; the last there is for a number beyond."""
    items = values.items(described, "VOILUTSequence")
    tables = [table for item in items if (table := read_table(item, little_endian=little_endian))]
    found = [_looked_up(table.meeting(inputs)) for table in tables]
    found += [_windowed(described, *each, "", fractions=fractions) for each in _windows(described)]
    if not found:
        return None
    chosen = min(number, len(found))
    which = f", {chosen} of {len(found)}" if len(found) > 1 else ""
    return Voi(found[chosen - 1].apply, found[chosen - 1].said + which)


def _windows(described: Dataset) -> list[tuple[float, float]]:
    """(center, width) of each window that has both and a width that one can have."""
    pairs = zip(values.numbers(described, "WindowCenter"), values.numbers(described, "WindowWidth"), strict=False)
    return [(center, width) for center, width in pairs if width > 0 and isfinite(center) and isfinite(width)]


def _windowed(described: Dataset, center: float, width: float, why: str, *, fractions: bool) -> Voi:
    name = values.term(described, "VOILUTFunction", "LINEAR")
    name = name if name in FUNCTIONS else "LINEAR"
    if name == "LINEAR" and (width < NARROWEST or (fractions and width == NARROWEST)):
        name = "LINEAR_EXACT"
    function = FUNCTIONS[name]
    said = f"window {center:g}/{width:g} {name}"
    return Voi(lambda inputs: function(inputs, center, width), f"{said}, {why}" if why else said)


def _looked_up(table: Table) -> Voi:
    largest = 2.0**table.bits - 1
    return Voi(
        lambda inputs: stretch(table.apply(inputs), 0.0, largest), f"VOI LUT of {table.entries.size} entries"
    )


def _stretched(low: float, high: float, why: str) -> Voi:
    return Voi(lambda inputs: stretch(inputs, low, high), f"{why}: {low:g} to {high:g}")


def _segments(dataset: Dataset) -> float:
    """What is white in a segmentation (PS3.3 C.8.20.2): Maximum Fractional Value where pixels hold fractions, the
    highest number of a segment where they hold such numbers; 0 of anything else."""
    kind = values.text(dataset, "SegmentationType")
    if kind == "FRACTIONAL":
        return max(values.number(dataset, "MaximumFractionalValue") or 0.0, 0.0)
    if kind != "LABELMAP":
        return 0.0
    numbers = (values.number(item, "SegmentNumber") for item in values.items(dataset, "SegmentSequence"))
    return max((number for number in numbers if number), default=0.0)


def _storable(layout: Layout) -> tuple[float, float]:
    low = -(2.0 ** (layout.stored - 1)) if layout.signed else 0.0
    return low, low + 2.0**layout.stored - 1


def _percentiles(dataset: Dataset) -> tuple[float, float]:
    return PERCENTILES.get(values.text(dataset, "Modality"), (LOW, HIGH))
