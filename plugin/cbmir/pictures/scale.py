"""Pictures to a smaller size."""

from __future__ import annotations

import numpy as np
from PIL import Image

from cbmir.pixels import passes
from cbmir.types import ByteArray


def fit(pixels: ByteArray, side: int, aspect: float = 1.0) -> ByteArray:
    """Make pixels square, then bring the longer side down to `side` by averaging areas, so that nothing aliases.

    Args:
        pixels: (rows, columns) or (rows, columns, 3).
        side: pixels, at least 1; a smaller picture is not enlarged but for its aspect.
        aspect: height of a pixel divided by its width: the sparser direction is interpolated.

    Returns:
        uint8, the shorter side rounded and at least 1.
    """
    rows, columns = pixels.shape[:2]
    square = (rows * max(1.0, aspect), columns * max(1.0, 1 / aspect))
    scale = min(1.0, side / max(square))
    wanted = tuple(max(1, round(each * scale)) for each in square)
    if wanted == (rows, columns):
        return pixels
    if (rows, columns) == tuple(each * (rows // wanted[0]) for each in wanted):
        return _means(pixels, rows // wanted[0])
    smaller = (min(columns, wanted[1]), min(rows, wanted[0]))
    averaged = Image.fromarray(pixels).resize(smaller, Image.Resampling.BOX)
    return np.asarray(averaged.resize((wanted[1], wanted[0]), Image.Resampling.BILINEAR))


def _means(pixels: ByteArray, factor: int) -> ByteArray:
    if pixels.ndim == 2:
        return passes.means(pixels, factor)
    return np.asarray(Image.fromarray(pixels).reduce(factor))


def without_colour(pixels: ByteArray) -> ByteArray:
    """(rows, columns) where all three channels of (rows, columns, 3) are equal: grey that was stored as RGB."""
    if pixels.ndim == 3 and bool((pixels == pixels[..., :1]).all()):
        return np.ascontiguousarray(pixels[..., 0])
    return pixels
