"""How high a pixel is for its width (PS3.3 C.7.6.3.1.7, 10.7.1.1)."""

from __future__ import annotations

from pydicom import Dataset

from cbmir.dicom import values
from cbmir.dicom.groups import macro

SPACINGS = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing", "PixelAspectRatio")
"""Elements of two values, vertical and horizontal, the first that makes sense wins."""

MOST = 20.0
"""Pixels that are more than so many times as high as wide, or the reverse, are taken for a mistake."""


def aspect(dataset: Dataset, index: int) -> float:
    """The height of a frame's pixels divided by their width.

    Pixel Spacing wins, for it holds in the patient, and may have been calibrated; the frame's own (Pixel Measures
    Sequence, PS3.3 C.7.6.16.2.1) before the object's. Then Imager Pixel Spacing, at the detector, and Nominal
    Scanned Pixel Spacing, on the film. Pixel Aspect Ratio comes last, as by the standard it is only there when none
    of these is. All name the vertical value first: the distance of rows, then that of columns.

    Args:
        index: of the frame, 0-based.

    Returns:
        A number from 1 / `MOST` to `MOST`; 1.0 where nothing is given that makes sense.
    """
    measures = macro(dataset, index, "PixelMeasuresSequence")
    for source in (measures, dataset):
        for keyword in SPACINGS:
            if (ratio := _ratio(values.numbers(source, keyword))) is not None:
                return ratio
    return 1.0


def _ratio(pair: list[float]) -> float | None:
    """The first of two numbers by the second; None if that is no plausible aspect."""
    if len(pair) != 2 or not min(pair) > 0:
        return None
    ratio = pair[0] / pair[1]
    return ratio if 1 / MOST <= ratio <= MOST else None
