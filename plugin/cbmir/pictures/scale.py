"""Pictures to bytes, and to a smaller size."""

from __future__ import annotations

import numpy as np
from PIL import Image

from cbmir.types import ByteArray, FloatArray


def to_bytes(pixels: FloatArray) -> ByteArray:
    """Quantise to 256 levels, rounding to the nearest.

    Args:
        pixels: any shape, in [0, 1]; what lies outside is clipped, NaN is black.

    Returns:
        uint8 of the same shape.
    """
    scaled = np.nan_to_num(pixels)
    np.clip(scaled, 0.0, 1.0, out=scaled)
    np.multiply(scaled, 255.0, out=scaled)
    np.add(scaled, 0.5, out=scaled)
    return scaled.astype(np.uint8)


def shrink(pixels: ByteArray, side: int) -> ByteArray:
    """Bring the longer side down to `side` by averaging areas, so that nothing aliases; never enlarges.

    Args:
        pixels: (rows, columns) or (rows, columns, 3).
        side: pixels, at least 1.

    Returns:
        uint8 of the same aspect, the shorter side rounded and at least 1.
    """
    rows, columns = pixels.shape[:2]
    longer = max(rows, columns)
    if longer <= side:
        return pixels
    size = tuple(max(1, round(each * side / longer)) for each in (columns, rows))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX))


def without_colour(pixels: ByteArray) -> ByteArray:
    """(rows, columns) where all three channels of (rows, columns, 3) are equal: grey that was stored as RGB."""
    if pixels.ndim == 3 and bool((pixels == pixels[..., :1]).all()):
        return np.ascontiguousarray(pixels[..., 0])
    return pixels
