"""What of a picture drives its similarity to another: cover parts of it by chance, many times, and see which make
the distance grow.

Any encoder will do: it is only asked for features. The cost is bounded: `COPIES` covered copies a picture, whatever
its size. Coverings by chance and a regression over them are those of RISE (Petsiuk et al., 2018) and of LIME
(Ribeiro et al., 2016).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image

from cbmir.types import FloatArray

CELLS = 16
"""Cells along a side of the map."""

COPIES = 256
"""Covered copies that are encoded."""

SHARE, BLOCK = 0.35, 2
"""Of each copy so much is covered, in blocks of 2 x 2 cells: one part alone changes a feature little, and tells
little of what it does where others are gone."""

REACH, STIFFNESS = 1.0, 1.0
"""Cells over which neighbours of the map are taken to be alike, and how far it trusts that more than the copies."""

AT_ONCE = 1 << 22
"""Numbers of covered copies that are encoded together."""

Masks = npt.NDArray[np.float32]
"""Which cells are covered: (n, 16, 16), 0 or 1."""

Encode = Callable[[FloatArray], FloatArray]
"""Prepared pictures, float32 (n, channels, side, side), to features, float32 (n, d)."""


def drive(encode: Encode, prepared: FloatArray, other: FloatArray) -> FloatArray:
    """How much each part of a picture holds it near another one.

    Args:
        encode: gives features.
        prepared: the picture as the encoder takes it: float32 (channels, side, side), side at least 16.
        other: the other picture's feature: float32 (d,).

    Returns:
        float32 (16, 16), rows first: by how much the Euclidean distance grows when the cell is covered, among
        others that are. Above 0 what is there makes the two alike, below 0 it sets them apart.
    """
    grown = distances(encode, prepared, other, _masks())
    return np.asarray(_regression() @ (grown - grown.mean()), np.float32).reshape(CELLS, CELLS)


def distances(encode: Encode, prepared: FloatArray, other: FloatArray, masks: Masks) -> npt.NDArray[np.float64]:
    """How far a picture is from another one, covered in so many ways.

    Args:
        encode: gives features.
        prepared: as for `drive`.
        other: as for `drive`.
        masks: the cells that are covered, each time.

    Returns:
        float64 (n,).
    """
    hidden, count = blurred(prepared), max(1, AT_ONCE // prepared.size)
    pieces = [masks[start : start + count] for start in range(0, len(masks), count)]
    features = np.concatenate([encode(_covered(prepared, hidden, piece)) for piece in pieces])
    return np.asarray(np.linalg.norm(features.astype(np.float64) - other, axis=1))


def blurred(prepared: FloatArray) -> FloatArray:
    """A picture without detail: what stands where it is covered. A grey patch would be a shape of its own.

    Args:
        prepared: float32 (channels, side, side).

    Returns:
        The same shape: means of a quarter of the side, with soft transitions.
    """
    side, coarse = prepared.shape[-1], 4
    layers = [Image.fromarray(layer, "F").resize((coarse, coarse), Image.Resampling.BOX) for layer in prepared]
    return np.stack([np.asarray(layer.resize((side, side), Image.Resampling.BILINEAR)) for layer in layers])


def _covered(prepared: FloatArray, hidden: FloatArray, masks: Masks) -> FloatArray:
    """A copy for each mask: float32 (n, channels, side, side).

    Covers have soft borders: hard ones are edges that no picture has, and they alone drive a feature away.
    """
    size = prepared.shape[-2:]
    soft = [Image.fromarray(mask, "F").resize(size, Image.Resampling.BILINEAR) for mask in masks]
    cover = np.stack([np.asarray(each) for each in soft])[:, np.newaxis]
    return np.asarray(prepared + cover * (hidden - prepared))


@lru_cache(maxsize=1)
def _masks() -> Masks:
    """The same ones each time, so that a map is the same each time."""
    chance, blocks = np.random.default_rng(0), CELLS // BLOCK + 1
    coarse = chance.random((COPIES, blocks, blocks)) < SHARE
    cells = coarse.repeat(BLOCK, axis=1).repeat(BLOCK, axis=2).astype(np.float32)
    begins = chance.integers(0, BLOCK, (COPIES, 2))
    parts = zip(cells, begins, strict=True)
    return np.stack([each[row : row + CELLS, column : column + CELLS] for each, (row, column) in parts])


@lru_cache(maxsize=1)
def _regression() -> npt.NDArray[np.float64]:
    """What makes a map of the growth of distances: (cells, copies).

    The map is a Gaussian process whose neighbours are alike, and the growth of a copy the sum of its covered cells.
    """
    place = np.arange(CELLS)
    along = np.exp(-0.5 * ((place[:, np.newaxis] - place) / REACH) ** 2)
    alike = np.kron(along, along)
    seen = _masks().reshape(COPIES, -1).astype(np.float64)
    seen -= seen.mean(axis=0)
    between = seen @ alike @ seen.T
    noise = STIFFNESS * np.trace(between) / COPIES
    return np.asarray(np.linalg.solve(between + noise * np.eye(COPIES), seen @ alike).T)
