"""The grey scale of a frame: modality, values of interest, presentation, and only then the inversion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from cbmir.contrast import counted_range, robust_range, sampled, to_bytes
from cbmir.dicom import values
from cbmir.dicom.layout import Layout
from cbmir.dicom.modality import Modality, read_modality
from cbmir.dicom.padding import Padding, read_padding
from cbmir.dicom.rendering import Rendering
from cbmir.dicom.voi import LOWEST, Voi, choose
from cbmir.types import ByteArray

STRIP = 1 << 20
"""Pixels of more than 16 bits that are turned to grey at a time: bounds memory to a few megabytes more."""

Values = npt.NDArray[Any]


@dataclass(frozen=True)
class _Shading:
    """What becomes of each stored value."""

    padding: Padding | None
    modality: Modality
    voi: Voi
    inverse: bool

    def of(self, stored: Values) -> ByteArray:
        shown = self.voi.apply(self.modality.apply(stored))
        if self.inverse:
            np.subtract(1.0, shown, out=shown)
        if self.padding is not None:
            shown[self.padding.mask(stored)] = 0.0
        return to_bytes(shown)


def grey(
    stored: Values, dataset: Dataset, layout: Layout, index: int, rendering: Rendering, steps: list[str]
) -> ByteArray:
    """Bring the stored values of a grey frame to the screen.

    Args:
        stored: (rows, columns), integer or float.
        dataset: the object's header.
        layout: the object's.
        index: of the frame, 0-based.
        rendering: what is wanted.
        steps: what is done is added to it.

    Returns:
        uint8 (rows, columns); padding is black.
    """
    modality, padding = read_modality(dataset, index, stored.dtype), read_padding(dataset, stored.dtype)
    tabled = stored.dtype.kind in "iu" and stored.dtype.itemsize <= 2
    domain, counts = _domain(stored) if tabled else (sampled(stored), None)
    ranged = _ranged(domain, counts, modality, padding, LOWEST.get(values.text(dataset, "Modality")))
    voi = choose(dataset, layout, index, rendering, not modality.said, ranged)
    shading = _Shading(padding, modality, voi, is_inverse(dataset, layout))
    steps.extend(_said(shading, layout))
    return _by_table(stored, domain, shading) if tabled else _by_strips(stored, shading)


def is_inverse(dataset: Dataset, layout: Layout) -> bool:
    """Whether the lowest value is the brightest, which MONOCHROME1 says, and Presentation LUT Shape INVERSE.

    The two belong together and do not invert twice. MONOCHROME1 with the shape IDENTITY, which the standard forbids
    and some radiography systems write, is inverted.
    """
    return layout.photometric == "MONOCHROME1" or values.text(dataset, "PresentationLUTShape") == "INVERSE"


def _said(shading: _Shading, layout: Layout) -> list[str]:
    inverted = "inverted: MONOCHROME1" if layout.photometric == "MONOCHROME1" else "inverted: INVERSE"
    said = [shading.modality.said, shading.voi.said, inverted if shading.inverse else ""]
    return [each for each in (*said, shading.padding.said if shading.padding else "") if each]


def _cells(stored: Values) -> Values:
    """The values' bits as unsigned numbers, by which a table is looked up."""
    return stored.view(f"u{stored.dtype.itemsize}")


def _domain(stored: Values) -> tuple[Values, Callable[[], npt.NDArray[np.int64]]]:
    """All values between the lowest and the highest, and, when asked, how often each is there."""
    domain = np.arange(int(stored.min()), int(stored.max()) + 1).astype(stored.dtype)

    def counts() -> npt.NDArray[np.int64]:
        found = np.bincount(_cells(stored).reshape(-1), minlength=1 << 8 * stored.dtype.itemsize)
        return found[_cells(domain)]

    return domain, counts


def _ranged(
    domain: Values,
    counts: Callable[[], npt.NDArray[np.int64]] | None,
    modality: Modality,
    padding: Padding | None,
    lowest: float | None,
) -> Callable[[tuple[float, float]], tuple[float, float]]:
    """The frame's percentiles, when somebody asks."""

    def ranged(percentiles: tuple[float, float]) -> tuple[float, float]:
        inputs = modality.apply(domain)
        kept = np.ones(domain.shape, bool) if padding is None else ~padding.mask(domain)
        if lowest is not None:
            kept &= inputs >= lowest
        if counts is None:
            return robust_range(inputs[kept], percentiles)
        return counted_range(inputs, np.where(kept, counts(), 0), percentiles)

    return ranged


def _by_table(stored: Values, domain: Values, shading: _Shading) -> ByteArray:
    table = np.zeros(1 << 8 * stored.dtype.itemsize, np.uint8)
    table[_cells(domain)] = shading.of(domain)
    return np.take(table, _cells(stored))


def _by_strips(stored: Values, shading: _Shading) -> ByteArray:
    shown = np.empty(stored.shape, np.uint8)
    rows = max(1, STRIP // stored.shape[1])
    for row in range(0, len(stored), rows):
        shown[row : row + rows] = shading.of(stored[row : row + rows])
    return shown
