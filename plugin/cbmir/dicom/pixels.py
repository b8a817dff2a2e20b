"""One frame of a DICOM image to the picture that a reader would see (PS3.3 C.7.6.3, C.11; PS3.4 N.2)."""

from __future__ import annotations

import numpy as np
from pydicom import Dataset

from cbmir.dicom import overlays
from cbmir.dicom.colour import from_palette, to_rgb
from cbmir.dicom.decode import Decoded, Decoder
from cbmir.dicom.grey import grey
from cbmir.dicom.layout import PALETTE, Layout
from cbmir.dicom.rendering import Rendering
from cbmir.dicom.voi import is_given
from cbmir.types import ByteArray

OVERSAMPLED = 4
"""How many times larger than wanted a frame must remain that is decoded at less than its whole resolution."""


def picture(
    dataset: Dataset,
    layout: Layout,
    decoder: Decoder,
    index: int,
    rendering: Rendering,
    name: str,
    steps: list[str],
) -> ByteArray:
    """Decode the frame at `index` (0-based) and bring it to the screen.

    Args:
        dataset: the object's header.
        layout: the object's.
        decoder: of its frames.
        index: of the frame.
        rendering: what is wanted.
        name: what the user calls the object.
        steps: what is done is added to it.

    Returns:
        uint8, 0 is black: (rows, columns) for grey, (rows, columns, 3) for RGB; smaller than the frame where it is
        to be shrunk anyway and its codec gives fewer pixels for less.

    Raises:
        cbmir.errors.BrokenFile, cbmir.errors.Undecodable: as `cbmir.dicom.decode.Decoder.frame` does.
    """
    decoded = decoder.frame(index, halvings(dataset, layout, index, rendering))
    steps.append(f"decoded: {decoded.by}")
    shown = _shown(decoded, dataset, layout, index, rendering, name, steps)
    if decoded.halvings:
        shown = centred(shown, decoded.halvings)
    if "ICCProfile" in dataset:
        steps.append("ICC profile ignored")
    return _with_overlays(shown, decoded, dataset, index, rendering, steps)


def halvings(dataset: Dataset, layout: Layout, index: int, rendering: Rendering) -> int:
    """How often a codec may halve a frame so that the picture stays nearly the same.

    It remains at least `OVERSAMPLED` times as large as it will be shrunk to: 99 % of the pixels are then within 9
    of 255 levels of what the whole frame gives, all on the average within 1 (`tests/plugin/dicom/test_reduced.py`).
    Not where single pixels count: padding would run into what it surrounds, percentiles would be of other values,
    overlays and regions would not fit.
    """
    exact = "PixelPaddingValue" in dataset or rendering.overlays or rendering.crop != "none"
    if exact or layout.samples != 1 or layout.photometric == PALETTE or not is_given(dataset, index, rendering):
        return 0
    return max(0, (max(layout.rows, layout.columns) // (OVERSAMPLED * rendering.side)).bit_length() - 1)


def centred(shown: ByteArray, halvings: int) -> ByteArray:
    """Undo the shift of a halved frame, whose samples lie where the first of those they stand for did.

    Args:
        shown: uint8 (rows, columns).
        halvings: how often it was halved.

    Returns:
        The same, moved to the middle by linear interpolation: half a pixel of the whole frame for one halving.
    """
    share = np.float32((2**halvings - 1) / 2 ** (halvings + 1))
    padded = np.pad(shown, ((0, 1), (0, 1)), mode="edge").astype(np.float32)
    across = (1 - share) * padded[:, :-1] + share * padded[:, 1:]
    return np.asarray((1 - share) * across[:-1] + share * across[1:] + np.float32(0.5)).astype(np.uint8)


def _shown(
    decoded: Decoded,
    dataset: Dataset,
    layout: Layout,
    index: int,
    rendering: Rendering,
    name: str,
    steps: list[str],
) -> ByteArray:
    if layout.photometric == PALETTE:
        steps.append("palette looked up")
        return from_palette(decoded.values, dataset, name)
    if layout.samples == 3:
        if layout.photometric != "RGB":
            steps.append(f"{layout.photometric} to RGB")
        return to_rgb(decoded.values, layout, decoded.photometric)
    return grey(decoded.values, dataset, layout, index, rendering, steps)


def _with_overlays(
    shown: ByteArray, decoded: Decoded, dataset: Dataset, index: int, rendering: Rendering, steps: list[str]
) -> ByteArray:
    count = overlays.count(dataset)
    if count:
        steps.append(f"{count} overlay plane(s) {'drawn' if rendering.overlays else 'left out'}")
    if count and rendering.overlays:
        drawn = overlays.read_overlays(dataset, index, (shown.shape[0], shown.shape[1]), decoded.cells)
        shown = np.array(shown)
        shown[drawn] = 255
    return shown
