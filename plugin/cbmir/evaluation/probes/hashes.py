"""Pictures that look the same: 64 bits of each tell candidates, and a thumbnail whether they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from cbmir.types import ByteArray

HashArray = npt.NDArray[np.uint64]

SIDE = 8
NEAR = 5
"""Bits of 64 in which two near-duplicates differ at most."""
THUMBNAIL = 32
"""Pixels a side of what is compared where the hashes are near."""
ALIKE = 0.99
"""Least correlation of two near-duplicates' thumbnails. A hash alone is not enough: among 2,500 public images 896
pairs of different patients were within 2 bits, as chests are positioned alike, and 370 of them had other labels.
Among 2,500 radiographs and MR images 11 pairs correlate by 0.99: all within 5 bits, and each of one label."""
CELLS = 1 << 20
"""Pairs compared at once: 8 MiB."""

Places = npt.NDArray[np.int64]

_ONES = np.array([number.bit_count() for number in range(1 << 16)], np.uint8)


@dataclass(frozen=True)
class Looks:
    """What pictures look like, in few bytes.

    Attributes:
        places: int64 (n,), numbers of the pictures.
        hashes: uint64 (n,).
        thumbnails: uint8 (n, 1024), grey.
    """

    places: Places
    hashes: HashArray
    thumbnails: ByteArray

    @classmethod
    def of(cls, found: Mapping[int, tuple[int, ByteArray]]) -> Looks:
        """From hash and thumbnail of each picture by its number."""
        thumbnails = [thumbnail for _, thumbnail in found.values()]
        return cls(
            np.array(list(found), np.int64),
            np.array([value for value, _ in found.values()], np.uint64),
            np.array(thumbnails, np.uint8).reshape(len(found), THUMBNAIL**2),
        )


def look(pixels: ByteArray) -> tuple[int, ByteArray] | None:
    """Hash and thumbnail of a picture, uint8 (rows, columns) or (rows, columns, 3); None for a flat one."""
    value = difference_hash(pixels)
    if value is None:
        return None
    small = Image.fromarray(pixels).convert("L").resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
    return value, np.asarray(small).reshape(-1)


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


def near(queries: Looks, gallery: Looks) -> Iterator[tuple[Places, Places, int]]:
    """Near-duplicates, a block of queries at a time.

    Yields:
        Places of the pairs in the queries and in the gallery, int64 (p,) and (p,); and how many pairs' hashes were
        near, alike or not.
    """
    step = max(1, CELLS // max(1, len(gallery.hashes)))
    for start in range(0, len(queries.hashes), step):
        rows, places = np.nonzero(differing(queries.hashes[start : start + step], gallery.hashes) <= NEAR)
        alike = _correlations(queries.thumbnails, rows + start, gallery.thumbnails, places) >= ALIKE
        yield queries.places[(rows + start)[alike]], gallery.places[places[alike]], len(rows)


def _correlations(queries: ByteArray, rows: Places, gallery: ByteArray, places: Places) -> npt.NDArray[np.float64]:
    """Pearson's correlation of each pair of thumbnails: float64 (p,), 0 where one is flat."""
    found = np.zeros(len(rows))
    step = CELLS // THUMBNAIL**2
    for start in range(0, len(rows), step):
        block = slice(start, start + step)
        found[block] = (_standardised(queries[rows[block]]) * _standardised(gallery[places[block]])).sum(axis=1)
    return found


def _standardised(thumbnails: ByteArray) -> npt.NDArray[np.float64]:
    centred = thumbnails - thumbnails.mean(axis=1, keepdims=True)
    lengths = np.sqrt((centred * centred).sum(axis=1, keepdims=True))
    return np.asarray(centred / np.where(lengths > 0, lengths, 1))
