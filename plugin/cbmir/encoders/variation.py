"""A picture as it might also have been taken: turned a little, nearer, to one side, darker, harder, less sharp.

What changes with that says nothing of the patient. Left stays left: a mirrored chest is another finding.
"""

from __future__ import annotations

import math
import zlib

import numpy as np
from PIL import Image, ImageFilter

from cbmir.types import ByteArray

TURN = math.radians(8)
"""To either side."""
ZOOM = (0.85, 1.12)
SHIFT = 0.06
"""Of the side, in each direction."""
GAMMA, CONTRAST, BRIGHTNESS = 0.25, 0.15, 0.05
"""Standard deviations: of the logarithms of exponent and contrast, and of what is added to a range of 1."""
BLURRED = 0.3
"""The share of the pictures that this happens to."""
BLUR = (0.3 / 128, 1 / 128)
"""The radius, of the side."""


def varied(picture: ByteArray) -> ByteArray:
    """Another picture of the same: uint8 (rows, columns) -> the same shape; the same one gives the same."""
    chance = np.random.default_rng(zlib.crc32(picture.tobytes()))
    image = _toned(_placed(Image.fromarray(picture), chance), chance)
    if chance.random() < BLURRED:
        image = image.filter(ImageFilter.GaussianBlur(chance.uniform(*BLUR) * image.width))
    return np.asarray(image)


def _placed(image: Image.Image, chance: np.random.Generator) -> Image.Image:
    """Turned, zoomed and shifted about its middle; black comes in from outside."""
    angle, zoom = chance.uniform(-TURN, TURN), chance.uniform(*ZOOM)
    across, down = chance.uniform(-SHIFT, SHIFT, 2) * image.size
    cosine, sine = math.cos(angle) / zoom, math.sin(angle) / zoom
    x, y = image.width / 2, image.height / 2
    map_ = (cosine, sine, x - cosine * x - sine * y + across, -sine, cosine, y + sine * x - cosine * y + down)
    return image.transform(image.size, Image.Transform.AFFINE, map_, Image.Resampling.BILINEAR)


def _toned(image: Image.Image, chance: np.random.Generator) -> Image.Image:
    """Each grey value by one curve."""
    exponent, contrast = np.exp(chance.normal(0, (GAMMA, CONTRAST)))
    values = ((np.arange(256) / 255) ** exponent - 0.5) * contrast + 0.5 + chance.normal(0, BRIGHTNESS)
    curve: list[int] = (np.clip(values, 0, 1) * 255).astype(np.uint8).tolist()
    return image.point(curve)
