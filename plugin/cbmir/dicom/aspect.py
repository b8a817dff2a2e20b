"""How high a pixel is for its width (PS3.3 C.7.6.3.1.7, 10.7.1.1)."""

from __future__ import annotations

from pydicom import Dataset

from cbmir.dicom import values
from cbmir.dicom.groups import macro

SPACINGS = (
    "PixelSpacing",
    "ImagerPixelSpacing",
    "NominalScannedPixelSpacing",
    "ImagePlanePixelSpacing",
    "PixelAspectRatio",
)
"""Elements of two values, vertical and horizontal, the first that makes sense wins."""

GROUPS = ("PixelMeasuresSequence", "FramePixelDataPropertiesSequence")
"""Functional groups that hold one of them."""

MOST = 20.0
"""Pixels that are more than so many times as high as wide, or the reverse, are taken for a mistake."""


def aspect(dataset: Dataset, index: int) -> float:
    """The height of a frame's pixels divided by their width.

    Pixel Spacing wins, for it holds in the patient, and may have been calibrated. Then Imager Pixel Spacing, at the
    detector, Nominal Scanned Pixel Spacing, on the film, and Image Plane Pixel Spacing, of an RT Image (PS3.3
    C.8.8.2). Pixel Aspect Ratio comes last, as by the standard it is only there when none of the first three is.
    All name the vertical value first: the distance of rows, then that of columns. The frame's own comes before the
    object's: of enhanced images Pixel Spacing (Pixel Measures Sequence, PS3.3 C.7.6.16.2.1), and of X-ray ones
    Imager Pixel Spacing (Frame Pixel Data Properties Sequence, PS3.3 C.8.19.6.4).

    Args:
        index: of the frame, 0-based.

    Returns:
        A number from 1 / `MOST` to `MOST`; 1.0 where nothing is given that makes sense.
    """
    sources = (*(macro(dataset, index, group) for group in GROUPS), dataset)
    for keyword in SPACINGS:
        for source in sources:
            if (ratio := _ratio(values.numbers(source, keyword))) is not None:
                return ratio
    return 1.0


def _ratio(pair: list[float]) -> float | None:
    """The first of two numbers by the second; None if that is no plausible aspect."""
    if len(pair) != 2 or not min(pair) > 0:
        return None
    ratio = pair[0] / pair[1]
    return ratio if 1 / MOST <= ratio <= MOST else None
