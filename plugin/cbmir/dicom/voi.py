"""Values of interest to grey: VOI LUT and windows (PS3.3 C.11.2), and what to do without either."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from cbmir.contrast import robust_range, stretch
from cbmir.dicom import values
from cbmir.dicom.groups import macro
from cbmir.dicom.layout import Layout
from cbmir.dicom.tables import is_little_endian, read_table
from cbmir.types import FloatArray

Window = Callable[[npt.NDArray[Any], float, float], FloatArray]


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


FUNCTIONS: dict[str, Window] = {"LINEAR": linear, "LINEAR_EXACT": linear_exact, "SIGMOID": sigmoid}
"""By VOI LUT Function (0028,1056); an unknown one is taken for LINEAR."""


def to_grey(
    inputs: npt.NDArray[Any], dataset: Dataset, layout: Layout, index: int, counted: npt.NDArray[np.bool_] | None
) -> FloatArray:
    """Map values of the modality to grey, not yet inverted.

    In this order: the object's first VOI LUT; its first window; without either, the whole range that can be stored
    where that is at most 8 bits and was not rescaled, since such pictures were made for the screen; else the
    percentiles of `cbmir.contrast` of this frame.

    Args:
        inputs: (rows, columns) in the modality's unit.
        counted: which pixels count for percentiles, those that are no padding; None means all.

    Returns:
        float32 (rows, columns) in [0, 1].
    """
    described = macro(dataset, index, "FrameVOILUTSequence")
    for item in values.items(described, "VOILUTSequence")[:1]:
        if table := read_table(item, little_endian=is_little_endian(dataset)):
            return stretch(table.apply(inputs), 0.0, 2.0**table.bits - 1)
    if window := read_window(described):
        function, center, width = window
        return function(inputs, center, width)
    low, high = _default_range(inputs, layout, counted)
    return stretch(inputs, low, high)


def read_window(described: Dataset) -> tuple[Window, float, float] | None:
    """(function, center, width) of the first window; None without one, or with a width that none can have."""
    center, width = values.number(described, "WindowCenter"), values.number(described, "WindowWidth")
    function = FUNCTIONS.get(values.text(described, "VOILUTFunction"), linear)
    if center is None or width is None or width <= 0:
        return None
    return function, center, width


def _default_range(
    inputs: npt.NDArray[Any], layout: Layout, counted: npt.NDArray[np.bool_] | None
) -> tuple[float, float]:
    if layout.stored <= 8 and inputs.dtype.itemsize == 1:
        low = -(2.0 ** (layout.stored - 1)) if inputs.dtype.kind == "i" else 0.0
        return low, low + 2.0**layout.stored - 1
    return robust_range(inputs if counted is None else inputs[counted])
