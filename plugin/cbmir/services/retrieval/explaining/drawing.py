"""Heat maps laid over their pictures. No network here: the web draws them too."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw

from cbmir.types import ByteArray, FloatArray

ALIKE = (255, 150, 40)
"""Orange: what is here makes the two alike."""
APART = (70, 160, 255)
"""Blue: what is here sets them apart."""

STRONGEST = 0.7
"""Opacity of the strongest cell."""
GAP, LINE = 16, 28
"""Pixels between panels of a sheet, and above each for its title."""


def strongest(*maps: FloatArray) -> float:
    """What both maps of a pair are drawn against: their largest magnitude, above 0."""
    return max((float(np.abs(each).max(initial=0)) for each in maps), default=0.0) or 1.0


def overlay(pixels: ByteArray, drive: FloatArray, scale: float) -> Image.Image:
    """A picture in grey with its map over it: orange where the two are alike, blue where it sets them apart.

    Args:
        pixels: uint8, shape (rows, columns) or (rows, columns, 3).
        drive: float32 (cells, cells), over the whole of the picture.
        scale: the magnitude that gets the full colour.
    """
    ground = np.asarray(Image.fromarray(pixels).convert("L").convert("RGB"), np.float32)
    size = (ground.shape[1], ground.shape[0])
    smooth = Image.fromarray(drive.astype(np.float32), "F").resize(size, Image.Resampling.BICUBIC)
    value = np.clip(np.asarray(smooth) / scale, -1, 1)[..., np.newaxis]
    colour = np.where(value > 0, np.array(ALIKE, np.float32), np.array(APART, np.float32))
    opacity = np.abs(value) * STRONGEST
    return Image.fromarray(np.round(ground * (1 - opacity) + colour * opacity).astype(np.uint8))


def sheet(panels: Sequence[Sequence[tuple[str, Image.Image]]], side: int = 384) -> Image.Image:
    """Titled panels in rows and columns, each fitted into a square of `side` pixels."""
    width = max(len(row) for row in panels) * (side + GAP) + GAP
    canvas = Image.new("RGB", (width, len(panels) * (side + LINE + GAP) + GAP), (13, 18, 22))
    pen = ImageDraw.Draw(canvas)
    for row, several in enumerate(panels):
        top = GAP + row * (side + LINE + GAP)
        for column, (title, panel) in enumerate(several):
            left = GAP + column * (side + GAP)
            pen.text((left, top), title, fill=(231, 237, 241), font_size=16)
            fitted = _fitted(panel.convert("RGB"), side)
            canvas.paste(fitted, (left + (side - fitted.width) // 2, top + LINE + (side - fitted.height) // 2))
    return canvas


def png(image: Image.Image) -> bytes:
    """The content of a PNG file."""
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _fitted(image: Image.Image, side: int) -> Image.Image:
    ratio = side / max(image.size)
    size = (max(1, round(image.width * ratio)), max(1, round(image.height * ratio)))
    return image.resize(size, Image.Resampling.BICUBIC if ratio > 1 else Image.Resampling.BOX)
