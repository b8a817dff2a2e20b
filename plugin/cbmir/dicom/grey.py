"""The grey scale of a frame: modality, values of interest, presentation, and only then the inversion."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydicom import Dataset

from cbmir.dicom import values
from cbmir.dicom.layout import Layout
from cbmir.dicom.modality import Modality, read_modality
from cbmir.dicom.padding import Padding, read_padding
from cbmir.dicom.rendering import Rendering
from cbmir.dicom.shutter import Mask
from cbmir.dicom.voi import ALL, LOWEST, Voi, choose, is_given
from cbmir.pixels import passes
from cbmir.pixels.contrast import counted_range, robust_range, sampled, to_bytes
from cbmir.types import ByteArray

STRIP = 1 << 20
"""Pixels of more than 16 bits that are turned to grey at a time: bounds memory to a few megabytes more."""

UNCHANGED = np.arange(256, dtype=np.uint8)
"""The table that leaves 8 bits as they are."""

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
            if stored.dtype.kind == "f":
                shown[np.isnan(stored)] = 0.0  # no number is no image, as padding is none
        if self.padding is not None:
            shown[self.padding.mask(stored)] = 0.0
        return to_bytes(shown)


class GreyScale:
    """The grey scale of one object, as it is wanted."""

    def __init__(self, dataset: Dataset, layout: Layout, rendering: Rendering) -> None:
        """Of an object with this header and layout."""
        self._dataset, self._layout, self._rendering = dataset, layout, rendering
        self._tables: dict[np.dtype[Any], tuple[ByteArray, list[str]]] = {}
        self._as_stored: dict[int, list[str]] = {}

    def frame(self, stored: Values, index: int, steps: list[str], hidden: Mask | None = None) -> ByteArray:
        """Bring a frame to the screen.

        Args:
            stored: its stored values, (rows, columns), integer or float.
            index: of the frame, 0-based.
            steps: what is done is added to it.
            hidden: of its pixels those that will not be seen, bool (rows, columns), and do not count.

        Returns:
            uint8 (rows, columns); padding is black.
        """
        if stored.dtype.kind not in "iu" or stored.dtype.itemsize > 2:
            shading = self._shading(sampled(_seen(stored, hidden)), None, index, stored.dtype)
            steps.extend(_said(shading, self._layout))
            return _by_strips(stored, shading)
        if stored.dtype == np.uint8 and index in self._as_stored:
            steps.extend(self._as_stored[index])
            return stored
        table, said = self._shared(stored.dtype) if self._same_for_all else self._table(stored, index, hidden)
        steps.extend(said)
        return _looked_up(table, _cells(stored))

    def leaves_bytes(self, index: int) -> bool:
        """Whether unsigned 8-bit values of a frame (0-based) are shown as they are, whatever they are."""
        if self._layout.stored != 8 or self._layout.signed:
            return False
        anything = np.zeros((1, 1), np.uint8)  # whose percentiles, where these count, would give another table
        table, said = self._table(anything, index)
        if np.array_equal(table, UNCHANGED):
            self._as_stored[index] = said
        return index in self._as_stored

    @cached_property
    def _same_for_all(self) -> bool:
        """Whether one table serves all frames: none has a scale of its own, and none is looked at for one."""
        enhanced = values.items(self._dataset, "PerFrameFunctionalGroupsSequence")
        return self._layout.frames > 1 and not enhanced and is_given(self._dataset, 0, self._rendering)

    def _shared(self, dtype: np.dtype[Any]) -> tuple[ByteArray, list[str]]:
        if dtype not in self._tables:
            limits = np.iinfo(dtype)
            self._tables[dtype] = self._table(np.array([[limits.min, limits.max]], dtype), 0)
        return self._tables[dtype]

    def _table(self, stored: Values, index: int, hidden: Mask | None = None) -> tuple[ByteArray, list[str]]:
        """What becomes of all values between the lowest and the highest, by their bits; and the steps."""
        limits = np.iinfo(stored.dtype) if stored.dtype.itemsize == 1 else None
        lowest, highest = (limits.min, limits.max) if limits else (int(stored.min()), int(stored.max()))
        domain = np.arange(lowest, highest + 1, dtype=np.int32).astype(stored.dtype)
        shading = self._shading(domain, stored, index, stored.dtype, hidden)
        table = np.zeros(1 << 8 * stored.dtype.itemsize, np.uint8)
        table[_cells(domain)] = shading.of(domain)
        return table, _said(shading, self._layout)

    def _shading(
        self,
        domain: Values,
        counted: Values | None,
        index: int,
        dtype: np.dtype[Any],
        hidden: Mask | None = None,
    ) -> _Shading:
        """Choose the scale by the distinct values and the pixels that hold them, or by some of the pixels alone."""
        modality, padding = read_modality(self._dataset, index, dtype), read_padding(self._dataset, dtype)
        lowest = LOWEST.get(values.text(self._dataset, "Modality"))

        def ranged(percentiles: tuple[float, float]) -> tuple[float, float]:
            inputs = modality.apply(domain)
            counts = np.ones(domain.shape, np.int64) if counted is None else _counts(_seen(counted, hidden), domain)
            if padding is not None:
                counts[padding.mask(domain)] = 0
            if lowest is not None and percentiles != ALL:
                above = np.where(inputs >= lowest, counts, 0)
                counts = above if above.any() else counts
            if counted is None:
                return robust_range(inputs[counts > 0], percentiles)
            return counted_range(inputs, counts, percentiles)

        voi = choose(self._dataset, self._layout, index, self._rendering, not modality.said, ranged)
        return _Shading(padding, modality, voi, is_inverse(self._dataset, self._layout))


def _seen(stored: Values, hidden: Mask | None) -> Values:
    """The values of the pixels that will be seen."""
    return stored if hidden is None else stored[~hidden]


def is_inverse(dataset: Dataset, layout: Layout) -> bool:
    """Whether the lowest value is the brightest, which MONOCHROME1 says, and Presentation LUT Shape INVERSE.

    The two belong together and do not invert twice. MONOCHROME1 with the shape IDENTITY, which the standard forbids
    and some radiography systems write, is inverted.
    """
    return layout.photometric == "MONOCHROME1" or values.term(dataset, "PresentationLUTShape") == "INVERSE"


def _said(shading: _Shading, layout: Layout) -> list[str]:
    inverted = "inverted: MONOCHROME1" if layout.photometric == "MONOCHROME1" else "inverted: INVERSE"
    said = [shading.modality.said, shading.voi.said, inverted if shading.inverse else ""]
    return [each for each in (*said, shading.padding.said if shading.padding else "") if each]


def _cells(stored: Values) -> Values:
    """The values' bits as unsigned numbers, by which a table is looked up."""
    return stored.view(f"u{stored.dtype.itemsize}")


def _looked_up(table: ByteArray, cells: Values) -> ByteArray:
    """What the table has for each cell."""
    if np.array_equal(table, UNCHANGED):
        return cells
    if table.size == UNCHANGED.size:
        return np.asarray(Image.fromarray(cells).point(table.tolist()))  # which needs no indices
    return passes.looked_up(table, cells)


def _counts(stored: Values, domain: Values) -> npt.NDArray[np.int64]:
    """How often each value of the domain, a range without gaps, is stored."""
    cells, first = _cells(stored), _cells(domain)[0]
    if cells.dtype == np.uint16:
        return passes.counts(cells, first, domain.size)
    return np.bincount(cells.reshape(-1) - first, minlength=domain.size)


def _by_strips(stored: Values, shading: _Shading) -> ByteArray:
    shown = np.empty(stored.shape, np.uint8)
    rows = max(1, STRIP // stored.shape[1])
    for row in range(0, len(stored), rows):
        shown[row : row + rows] = shading.of(stored[row : row + rows])
    return shown
