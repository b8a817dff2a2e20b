"""Pictures that look the same: 64 bits of each, and how many of them differ."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

HashArray = npt.NDArray[np.uint64]
ByteArray = npt.NDArray[np.uint8]

SIDE = 8
NEAR = 2
"""Bits of 64 by which two near-duplicates differ at most: a rescaled or recompressed copy."""
CELLS = 1 << 20
"""Pairs compared at once: 8 MiB."""

_ONES = np.array([number.bit_count() for number in range(1 << 16)], np.uint8)


def difference_hash(pixels: ByteArray) -> int | None:
    """The difference hash of a picture (N. Krawetz, "Kind of Like That", 2013).

    The picture as grey, averaged to 8 rows of 9 cells; a bit is 1 where a cell is darker than its right neighbour.

    Args:
        pixels: uint8 (rows, columns) or (rows, columns, 3).

    Returns:
        64 bits; None for a picture that is flat, which would resemble every other flat one.
    """
    grey = Image.fromarray(pixels).convert("L").convert("F").resize((SIDE + 1, SIDE), Image.Resampling.BOX)
    cells = np.asarray(grey)
    if float(np.ptp(cells)) < 1:
        return None
    return int.from_bytes(np.packbits(cells[:, :-1] < cells[:, 1:]).tobytes(), "big")


def differing(queries: HashArray, gallery: HashArray) -> npt.NDArray[np.uint8]:
    """Bits in which each query differs from each of the gallery: uint64 (q,) and (n,) give (q, n), 0 to 64."""
    parts = (queries[:, np.newaxis] ^ gallery[np.newaxis]).view(np.uint16).reshape(len(queries), len(gallery), 4)
    return np.asarray(_ONES[parts].sum(axis=2, dtype=np.uint8))


def near(queries: HashArray, gallery: HashArray) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Places of all pairs that differ in at most `NEAR` bits, by ascending query: int64 (p,) and (p,)."""
    step, found = max(1, CELLS // max(1, len(gallery))), []
    for start in range(0, len(queries), step):
        rows, places = np.nonzero(differing(queries[start : start + step], gallery) <= NEAR)
        found.append((rows + start, places))
    if not found:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    return np.concatenate([rows for rows, _ in found]), np.concatenate([places for _, places in found])
