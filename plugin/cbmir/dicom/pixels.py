"""One frame of a DICOM image to the picture that a reader would see (PS3.3 C.7.6.3, C.11; PS3.4 N.2)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from cbmir.dicom import values
from cbmir.dicom.colour import from_palette, to_rgb
from cbmir.dicom.decode import stored_values
from cbmir.dicom.layout import PALETTE, Layout
from cbmir.dicom.modality import to_modality
from cbmir.dicom.padding import padding_mask
from cbmir.dicom.voi import to_grey
from cbmir.types import FloatArray


def picture(dataset: Dataset, layout: Layout, index: int, name: str) -> FloatArray:
    """Decode the frame at `index` (0-based) and bring it to the screen.

    Returns:
        float32 in [0, 1], 0 is black: (rows, columns) for grey, (rows, columns, 3) for RGB. Overlays, ICC profiles
        and the pixels' aspect ratio are left out.

    Raises:
        cbmir.errors.BrokenFile, cbmir.errors.Undecodable: as `cbmir.dicom.decode.stored_values` does.
    """
    stored, photometric = stored_values(dataset, layout, index, name)
    if layout.photometric == PALETTE:
        return from_palette(stored, dataset, name)
    if layout.samples == 3:
        return to_rgb(stored, layout, photometric)
    return grey(stored, dataset, layout, index)


def grey(stored: npt.NDArray[Any], dataset: Dataset, layout: Layout, index: int) -> FloatArray:
    """The grey scale: modality, values of interest, presentation, and only then the inversion.

    Args:
        stored: (rows, columns), stored values.

    Returns:
        float32 (rows, columns) in [0, 1]; padding is black.
    """
    padding = padding_mask(stored, dataset)
    inputs = to_modality(stored, dataset, index)
    shown = to_grey(inputs, dataset, layout, index, None if padding is None else ~padding)
    if is_inverse(dataset, layout):
        np.subtract(1.0, shown, out=shown)
    if padding is not None:
        shown[padding] = 0.0
    return shown


def is_inverse(dataset: Dataset, layout: Layout) -> bool:
    """Whether the lowest value is the brightest, which MONOCHROME1 says, and Presentation LUT Shape INVERSE.

    The two belong together and do not invert twice. MONOCHROME1 with the shape IDENTITY, which the standard forbids
    and some radiography systems write, is inverted.
    """
    return layout.photometric == "MONOCHROME1" or values.text(dataset, "PresentationLUTShape") == "INVERSE"
