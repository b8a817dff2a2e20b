"""How often a codec may halve a frame that will be shrunk anyway, so that the picture stays nearly the same."""

from __future__ import annotations

from pydicom import Dataset
from pydicom.uid import JPEGBaseline8Bit, JPEGExtended12Bit

from cbmir.dicom import overlays, values
from cbmir.dicom.aspect import aspect
from cbmir.dicom.codecs import RETIRED
from cbmir.dicom.grey import GreyScale
from cbmir.dicom.layout import GREY, Layout
from cbmir.dicom.rendering import Rendering
from cbmir.dicom.shutter import read_shutter
from cbmir.dicom.voi import is_given

OVERSAMPLED = 4
"""How many times larger than wanted a frame must remain whose codec filters it, as JPEG 2000 does."""

AVERAGED = (JPEGBaseline8Bit, JPEGExtended12Bit, *RETIRED)
"""Transfer syntaxes whose codec gives the means of the pixels, from which those of larger areas follow."""


def halvings(dataset: Dataset, layout: Layout, index: int, rendering: Rendering, grey: GreyScale) -> int:
    """How often the frame at `index` (0-based) may be halved at most; 0 where it must be decoded whole.

    Not where single pixels count: overlays, regions and a shutter would not fit.
    """
    if layout.photometric not in GREY or rendering.overlays or rendering.crop != "none":
        return 0
    if read_shutter(dataset, index):
        return 0
    if layout.syntax in AVERAGED:
        return _averaged(dataset, layout, index, rendering, grey)
    return _filtered(dataset, layout, index, rendering)


def _averaged(dataset: Dataset, layout: Layout, index: int, rendering: Rendering, grey: GreyScale) -> int:
    """As often as the frame will be shrunk by a whole number that can be halved, and is shown as it is stored.

    The picture is then the mean of the same pixels: 99 % are within 1 of 255 levels, and 99.9 % within 4, of what
    the whole frame gives, which differs where the decoder cuts values off at black and white, and by rounding
    (`tests/plugin/dicom/test_reduced.py`).
    """
    factor, rest = divmod(max(layout.shape), rendering.side)
    if factor < 2 or rest or any(side % factor for side in layout.shape):
        return 0
    plain = aspect(dataset, index) == 1.0 and grey.leaves_bytes(index)
    return (factor & -factor).bit_length() - 1 if plain else 0


def _filtered(dataset: Dataset, layout: Layout, index: int, rendering: Rendering) -> int:
    """As often as the frame remains at least `OVERSAMPLED` times as large as it will be shrunk to.

    99 % of the pixels are then within 9 of 255 levels of what the whole frame gives, all on the average within 1,
    from 128 pixels a side up.
    Not with padding or an overlay in the cells, which would run into the values beside them, nor with percentiles,
    which would be of other values.
    """
    spare = max(layout.shape) // (OVERSAMPLED * rendering.side)
    if spare < 2 or values.has(dataset, "PixelPaddingValue") or not is_given(dataset, index, rendering):
        return 0
    return 0 if overlays.are_embedded(dataset) else spare.bit_length() - 1
