"""Passes over the pixels of a frame: by NumPy and Pillow, and in a process that makes many, by machine code."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from cbmir.types import ByteArray

Cells = npt.NDArray[np.uint16]

PAID = 1 << 29
"""Pixels, two thousand slices of 512 x 512, over which machine code saves the half second that it takes to load: a
process that has not seen so many is better off without."""

MOST_MEANT = 256
"""Pixels a side of a square that machine code takes the mean of in 32 bits."""

INDICES = 1 << 16
"""Cells that NumPy looks up at a time: it makes eight bytes of each, which should stay in the processor's cache."""


@dataclass
class _Seen:
    pixels: int = 0


_seen = _Seen()


def looked_up(table: ByteArray, cells: Cells) -> ByteArray:
    """What a table has for each cell.

    Args:
        table: uint8 (65536,).
        cells: uint16, of any shape, in one piece.

    Returns:
        uint8 of that shape.
    """
    if _has_paid(cells):
        from cbmir.pixels import machine_code

        return machine_code.looked_up(table, cells)
    flat, shown = cells.reshape(-1), np.empty(cells.size, np.uint8)
    for start in range(0, cells.size, INDICES):
        part = slice(start, start + INDICES)
        np.take(table, flat[part], out=shown[part], mode="clip")  # by its size no index is outside
    return shown.reshape(cells.shape)


def counts(cells: Cells, first: int, length: int) -> npt.NDArray[np.int64]:
    """How often each number is among the cells.

    Args:
        cells: uint16, of any shape, in one piece, none of them outside the numbers.
        first: of the numbers, which go round: 0 follows 65535.
        length: how many numbers there are.

    Returns:
        int64 (length,).
    """
    if _has_paid(cells):
        from cbmir.pixels import machine_code

        return machine_code.counts(cells, first, length)
    return np.bincount(cells.reshape(-1) - np.uint16(first), minlength=length)


def means(pixels: ByteArray, factor: int) -> ByteArray:
    """The mean of each square of pixels, rounded to the nearest.

    Args:
        pixels: uint8 (rows, columns), both multiples of `factor`.
        factor: pixels a side of a square.

    Returns:
        uint8 (rows / factor, columns / factor).
    """
    if factor <= MOST_MEANT and _has_paid(pixels):
        from cbmir.pixels import machine_code

        return machine_code.means(pixels, factor)
    return np.asarray(Image.fromarray(pixels).reduce(factor))


def _has_paid(pixels: Cells | ByteArray) -> bool:
    _seen.pixels += pixels.size
    return _seen.pixels > PAID
