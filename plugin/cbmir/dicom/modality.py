"""Stored values to values of the modality, such as Hounsfield units (PS3.3 C.11.1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from cbmir.dicom import values
from cbmir.dicom.groups import macro
from cbmir.dicom.tables import Table, is_little_endian, read_table

LINEARISING = ("1.2.840.10008.5.1.4.1.1.12.1", "1.2.840.10008.5.1.4.1.1.12.2", "1.2.840.10008.5.1.4.1.1.12.3")
"""X-ray angiography and fluoroscopy: their Modality LUT undoes a logarithm and is not meant for display
(PS3.3 C.8.7.1)."""

FARTHEST = 2.0**20
"""Steps of stored values from 0 that float32 holds 16 bits at, to an eighth of a step; a farther intercept takes
float64."""

Values = npt.NDArray[Any]


@dataclass(frozen=True)
class Modality:
    """The transformation, any shape to the same shape; and in words, empty where the values stay as they are."""

    apply: Callable[[Values], Values]
    said: str


def read_modality(dataset: Dataset, index: int, dtype: np.dtype[Any]) -> Modality:
    """The Modality LUT, or rescale slope and intercept, of the object or of its frame.

    Args:
        dataset: the object's header.
        index: of the frame, 0-based: enhanced objects rescale by frame (PS3.3 C.7.6.16.2.9).
        dtype: of the stored values. Rescaled values are float32 where these have at most 16 bits, which keep their
            order in it up to an intercept of `FARTHEST` steps, else float64.
    """
    if (table := _table(dataset, signed=dtype.kind == "i")) is not None:
        return Modality(table.apply, f"modality LUT of {table.entries.size} entries")
    slope, intercept = rescale(dataset, index)
    if (slope, intercept) == (1.0, 0.0):
        return Modality(lambda stored: stored, "")
    near = dtype.itemsize <= 2 and abs(intercept) <= FARTHEST * abs(slope)
    precision = np.float32 if near else np.float64

    def rescaled(stored: Values) -> Values:
        inputs: Values = stored.astype(precision)
        np.multiply(inputs, slope, out=inputs)
        return np.add(inputs, intercept, out=inputs)

    return Modality(rescaled, f"rescaled: times {slope:g}, plus {intercept:g}")


def _table(dataset: Dataset, *, signed: bool) -> Table | None:
    """The Modality LUT; its first input has a sign if stored values have one, whatever value representation was
    written (PS3.3 C.11.1.1.1)."""
    if values.text(dataset, "SOPClassUID") in LINEARISING:
        return None
    first = values.items(dataset, "ModalityLUTSequence")[:1]
    table = read_table(first[0], little_endian=is_little_endian(dataset)) if first else None
    return table.signed() if table and signed else table


def rescale(dataset: Dataset, index: int) -> tuple[float, float]:
    """(slope, intercept) of a frame; (1, 0) where none are given or the slope is 0, which would leave nothing."""
    transformation = macro(dataset, index, "PixelValueTransformationSequence")
    slope = values.number(transformation, "RescaleSlope")
    intercept = values.number(transformation, "RescaleIntercept")
    if slope is None or slope == 0:
        return 1.0, 0.0
    return slope, intercept or 0.0
