"""Colour frames: palettes, RGB and YBR (PS3.3 C.7.6.3.1.2, C.7.9)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from cbmir.contrast import stretch
from cbmir.dicom.layout import Layout
from cbmir.dicom.palette import read_palette
from cbmir.types import FloatArray

FROM_YBR = np.array(
    [[1.0, 1.0, 1.0], [0.0, -0.114 * 1.772 / 0.587, 1.772], [1.402, -0.299 * 1.402 / 0.587, 0.0]], np.float32
)
"""(Y, Cb, Cr) @ FROM_YBR = (R, G, B), Cb and Cr around 0 (PS3.3 C.7.6.3.1.2, ITU-T T.871 7)."""


def to_rgb(stored: npt.NDArray[Any], layout: Layout, photometric: str) -> FloatArray:
    """Bring a frame of three samples to RGB.

    Args:
        stored: (rows, columns, 3).
        photometric: what the decoder left the values in; YBR_ICT and YBR_RCT are undone by the decoders.

    Returns:
        float32 (rows, columns, 3) in [0, 1].
    """
    bits = min(layout.stored, 8 * stored.dtype.itemsize)
    colours = stretch(stored, 0.0, 2.0**bits - 1)
    if photometric in ("YBR_FULL", "YBR_FULL_422"):
        middle = np.float32(2.0 ** (bits - 1) / (2.0**bits - 1))
        colours[..., 1:] -= middle
        colours = np.clip(colours @ FROM_YBR, 0.0, 1.0)
    return colours


def from_palette(stored: npt.NDArray[Any], dataset: Dataset, name: str) -> FloatArray:
    """Look a PALETTE COLOR frame up.

    Args:
        stored: (rows, columns), integers.

    Returns:
        float32 (rows, columns, 3) in [0, 1].

    Raises:
        cbmir.errors.BrokenFile: if the palette is missing or makes no sense.
    """
    first, palette = read_palette(dataset, name)
    positions = np.clip(stored.astype(np.int64) - first, 0, len(palette) - 1)
    return palette[positions]
