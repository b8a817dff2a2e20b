"""Colour frames: palettes, RGB and YBR (PS3.3 C.7.6.3.1.2, C.7.9)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from cbmir.dicom.layout import Layout
from cbmir.dicom.palette import read_palette
from cbmir.pixels.contrast import to_bytes
from cbmir.types import ByteArray, FloatArray

FROM_YBR = np.array(
    [[1.0, 1.0, 1.0], [0.0, -0.114 * 1.772 / 0.587, 1.772], [1.402, -0.299 * 1.402 / 0.587, 0.0]], np.float32
)
"""(Y, Cb, Cr) @ FROM_YBR = (R, G, B), Cb and Cr around 0 (PS3.3 C.7.6.3.1.2, ITU-T T.871 7)."""

CONVERTED = ("YBR_FULL", "YBR_PARTIAL")
"""How the photometric interpretations begin that are converted here."""

STRIP = 1 << 18
"""Pixels that are converted at a time: bounds memory to a few megabytes more."""


def said(stored: str, left: str) -> str:
    """What becomes of colours that are `stored` so and were `left` so by a decoder, in words; empty if nothing."""
    if stored == "RGB":
        return ""
    return f"{stored} to RGB" if left == "RGB" or left.startswith(CONVERTED) else f"{stored} taken as RGB"


def to_rgb(stored: npt.NDArray[Any], layout: Layout, photometric: str) -> ByteArray:
    """Bring a frame of three samples to RGB.

    Args:
        stored: (rows, columns, 3).
        layout: the object's.
        photometric: what the decoder left the values in. YBR_ICT, YBR_RCT and XYB only decoders undo: where one is
            left, as it is in uncompressed pixels, the header is wrong, and they are RGB.

    Returns:
        uint8 (rows, columns, 3).
    """
    bits = min(layout.stored, 8 * stored.dtype.itemsize)
    ybr = photometric.startswith(CONVERTED)
    if not ybr and bits == 8 and stored.dtype == np.uint8:
        return stored
    shown = np.empty(stored.shape, np.uint8)
    rows = max(1, STRIP // stored.shape[1])
    for row in range(0, len(stored), rows):
        samples = stored[row : row + rows].astype(np.float32) / np.float32(2.0**bits - 1)
        shown[row : row + rows] = to_bytes(_from_ybr(samples, bits, photometric) if ybr else samples)
    return shown


def _from_ybr(samples: FloatArray, bits: int, photometric: str) -> FloatArray:
    """(rows, columns, 3) in [0, 1] to RGB; the partial range has 219 of 255 levels of luminance, 224 of colour."""
    samples[..., 1:] -= np.float32(2.0 ** (bits - 1) / (2.0**bits - 1))
    if photometric.startswith("YBR_PARTIAL"):
        samples[..., 0] = (samples[..., 0] - np.float32(16 / 255)) * np.float32(255 / 219)
        samples[..., 1:] *= np.float32(255 / 224)
    return np.asarray(samples @ FROM_YBR)


def from_palette(stored: npt.NDArray[Any], dataset: Dataset, name: str) -> ByteArray:
    """Look a PALETTE COLOR frame up.

    Args:
        stored: (rows, columns), integers.
        dataset: the object's header.
        name: what the user calls it.

    Returns:
        uint8 (rows, columns, 3).

    Raises:
        cbmir.errors.BrokenFile: if the palette is missing or makes no sense.
    """
    first, palette = read_palette(dataset, name, signed=stored.dtype.kind == "i")
    colours = to_bytes(palette)
    shown = np.empty((*stored.shape, 3), np.uint8)
    rows = max(1, STRIP // stored.shape[1])
    for row in range(0, len(stored), rows):
        positions = stored[row : row + rows].astype(np.int64)
        np.subtract(positions, first, out=positions)
        shown[row : row + rows] = colours[np.clip(positions, 0, len(colours) - 1, out=positions)]
    return shown
