"""The part of a picture that holds tissue, without the text, markers and empty margins beside it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from cbmir.types import ByteArray, UltrasoundRegion

Box = tuple[int, int, int, int]
"""top, left, bottom, right in pixels from 0; bottom and right are exclusive."""

Mask = npt.NDArray[np.bool_]

THUMBNAIL = 128
"""Rows or columns, whichever are more, of the small picture in which tissue is looked for."""

SMALLEST, LARGEST = 0.1, 0.9
"""Parts of the picture: less than the former is no body part, and cutting to more than the latter is no use."""

MARGIN = 0.02
"""Part of the picture's rows or columns that is left around the tissue: skin is darker than what it covers."""

FLAT = 12
"""Grey levels around the border's median within which at least half of the border lies where it is background."""

END = 64
"""Grey levels from black or white within which a background lies; what is between is part of the picture."""

CONTRAST = 24
"""Grey levels that tissue differs from the background by, on average."""

TISSUE = ((1, 1), (1, 2))
"""Region Spatial Format and Region Data Type of 2D tissue and 2D colour flow (PS3.3 C.8.5.5.1.1, C.8.5.5.1.2)."""

ROUNDS = 64
"""Of the labelling, which takes about as many as the logarithm of the number of pixels."""


def region(pixels: ByteArray, regions: tuple[UltrasoundRegion, ...]) -> Box | None:
    """Where a picture may be cut to.

    Ultrasound is cut to what its header says: the box around its regions of 2D tissue and colour flow, unless they
    are of a larger picture that this one was scaled from. Any other picture to the largest connected part that is
    brighter than a flat background at its border (darker, if the background is white), with a margin.

    Args:
        pixels: uint8 (rows, columns) or (rows, columns, 3).
        regions: of the header; empty unless it is ultrasound.

    Returns:
        A box within the picture, and smaller than it; None to keep the whole, also where the box would be less than
        `SMALLEST` or, but for ultrasound, whose header is believed, more than `LARGEST` of it.
    """
    if regions and _fit(regions, pixels.shape[0], pixels.shape[1]):
        return _useful(_union(regions, pixels.shape[0], pixels.shape[1]), pixels, largest=1.0)
    mask = _foreground(_small(pixels))
    part = largest_part(mask)
    if not SMALLEST * mask.size <= part.sum() <= LARGEST * mask.size:
        return None
    return _useful(_enlarged(part, pixels), pixels, largest=LARGEST)


def _useful(box: Box | None, pixels: ByteArray, largest: float) -> Box | None:
    """The box, unless it holds so little that it must be a mistake, or so much that nothing is gained."""
    if box is None or box == (0, 0, *pixels.shape[:2]):
        return None
    part = (box[2] - box[0]) * (box[3] - box[1]) / (pixels.shape[0] * pixels.shape[1])
    return box if SMALLEST <= part <= largest else None


def _fit(regions: tuple[UltrasoundRegion, ...], rows: int, columns: int) -> bool:
    """Whether the regions are of this picture, be it cut on one side, and not of one that it was scaled from."""
    return all(each.y1 <= rows or each.x1 <= columns for each in regions)


def _union(regions: tuple[UltrasoundRegion, ...], rows: int, columns: int) -> Box | None:
    """The box around the regions of tissue; their corners are inclusive."""
    boxes = [
        (each.y0, each.x0, min(each.y1 + 1, rows), min(each.x1 + 1, columns))
        for each in regions
        if (each.spatial_format, each.data_type) in TISSUE and each.y0 < rows and each.x0 < columns
    ]
    if not boxes:
        return None
    tops, lefts, bottoms, rights = zip(*boxes, strict=True)
    return min(tops), min(lefts), max(bottoms), max(rights)


def _small(pixels: ByteArray) -> ByteArray:
    """Grey, by the average of areas, at most `THUMBNAIL` a side."""
    scale = min(1.0, THUMBNAIL / max(pixels.shape[:2]))
    rows, columns = (max(1, round(scale * each)) for each in pixels.shape[:2])
    small = Image.fromarray(pixels).resize((columns, rows), Image.Resampling.BOX)
    return np.asarray(small.convert("L"), np.uint8)


def _foreground(grey: ByteArray) -> Mask:
    """What differs from a flat background at the border; nothing where there is no such background.

    The bound lies nearer to the border's level than to Otsu's threshold, which alone parts dense tissue from fat:
    what is kept in vain does less harm than what is cut away.
    """
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    level = float(np.median(border))
    if min(level, 255 - level) > END or np.mean(np.abs(border - level) <= FLAT) < 0.5:
        return np.zeros(grey.shape, np.bool_)
    middle = otsu(grey)
    bright = level <= middle
    away = max(FLAT, abs(middle - level) / 4)
    mask: Mask = grey > level + away if bright else grey < level - away
    contrast = abs(float(grey[mask].mean()) - level) if mask.any() else 0.0
    return mask if contrast >= CONTRAST else np.zeros(grey.shape, np.bool_)


def otsu(grey: ByteArray) -> float:
    """The threshold that parts grey levels into two groups of the least variance (Otsu 1979).

    Returns:
        The level t for which levels up to t and above it are the groups; the only level of a flat picture.
    """
    counts = np.bincount(grey.reshape(-1), minlength=256).astype(np.float64)
    below = np.cumsum(counts)
    above = below[-1] - below
    sums = np.cumsum(counts * np.arange(256))
    both = (below > 0) & (above > 0)
    if not both.any():
        return float(grey.flat[0])
    means = sums / np.maximum(below, 1) - (sums[-1] - sums) / np.maximum(above, 1)
    between = np.where(both, below * above * means**2, -1.0)
    return float(np.mean(np.flatnonzero(between == between.max())))


def largest_part(mask: Mask) -> Mask:
    """The largest 4-connected part of a mask, the one that ends last among equals; nothing of an empty one."""
    if not mask.any():
        return mask
    labels = _labels(mask)
    counts = np.bincount(labels[mask])
    return np.asarray(mask & (labels == len(counts) - 1 - np.argmax(counts[::-1])))


def _labels(mask: Mask) -> npt.NDArray[np.intp]:
    """The index of the last pixel of each pixel's part: labels spread to neighbours, and chains are cut short."""
    own = np.arange(mask.size).reshape(mask.shape)
    labels = own.copy()
    for _ in range(ROUNDS):
        spread = _spread(labels, mask)
        roots = own.reshape(-1).copy()
        np.maximum.at(roots, labels.reshape(-1), spread.reshape(-1))
        while not np.array_equal(roots, shorter := roots[roots]):
            roots = shorter
        if np.array_equal(labels, joined := roots[spread]):
            break
        labels = joined
    return labels


def _spread(labels: npt.NDArray[np.intp], mask: Mask) -> npt.NDArray[np.intp]:
    """The highest label among each pixel of the mask and its four neighbours in it; others keep their own."""
    inside = np.where(mask, labels, -1)
    spread = inside.copy()
    for one, other in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        np.maximum(spread[one], inside[other], out=spread[one])
        np.maximum(spread[other], inside[one], out=spread[other])
    return np.where(mask, spread, labels)


def _enlarged(part: Mask, pixels: ByteArray) -> Box:
    """The box around a part of the small picture, in the large one, with the margin."""
    (top, bottom), (left, right) = (
        _stretch(np.flatnonzero(part.any(axis=1 - axis)), part.shape[axis], pixels.shape[axis]) for axis in (0, 1)
    )
    return top, left, bottom, right


def _stretch(places: npt.NDArray[np.intp], small: int, large: int) -> tuple[int, int]:
    """The first and last of the places along an axis of `small` pixels, along the same of `large`."""
    margin = round(MARGIN * large)
    first, last = int(places[0]) * large // small, -(-(int(places[-1]) + 1) * large // small)
    return max(0, first - margin), min(large, last + margin)
