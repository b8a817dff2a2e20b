"""The axes along which features spread most, and features in their terms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cbmir.types import FloatArray

DoubleArray = npt.NDArray[np.float64]

MOST = 128
"""Axes at most: of longer features what lies beyond is one coordinate more, its length."""
SAMPLE = 20_000
"""Features that the axes are found from, about."""
ROUNDS = 4
"""Of the subspace iteration that finds the axes of longer features."""
AT_ONCE = 1 << 20
"""Numbers that are held in float64 at once."""


@dataclass(frozen=True)
class Axes:
    """y(x) = scale (A z, |z - A'A z|) with z = x - centre; see `cbmir.index.bounds`.

    Attributes:
        centre: float64 (d,).
        directions: float64 (m, d), A: rows of length 1 at right angles, checked up to 1e-10.
        scale: a power of two.
    """

    centre: DoubleArray
    directions: DoubleArray
    scale: float

    @property
    def coordinates(self) -> int:
        """Numbers in y(x)."""
        return len(self.directions) + self._has_remainder

    @property
    def _has_remainder(self) -> bool:
        return bool(self.directions.shape[0] < self.directions.shape[1])

    def along(self, vectors: FloatArray) -> DoubleArray:
        """y of each vector, float32 (n, d): float64 (n, coordinates); keep n small, see `pieces`."""
        centred = (vectors.astype(np.float64) - self.centre) * self.scale
        inside = centred @ self.directions.T
        if not self._has_remainder:
            return inside
        outside = centred - inside @ self.directions
        return np.column_stack([inside, np.sqrt(np.einsum("ij,ij->i", outside, outside))])


def pieces(count: int, width: int) -> Iterator[slice]:
    """Slices of so many rows that `AT_ONCE` numbers are in one."""
    step = max(1, AT_ONCE // width)
    return (slice(start, start + step) for start in range(0, count, step))


def of(vectors: FloatArray) -> Axes:
    """The principal axes of vectors, float32 (n, d), n at least 1."""
    sample = vectors[:: max(1, len(vectors) // SAMPLE)].astype(np.float64)
    centre = sample.mean(axis=0)
    scale = _scale(vectors, centre)
    directions = _principal((sample - centre) * scale)
    deviation = np.linalg.norm(directions @ directions.T - np.eye(len(directions)))
    if not deviation < 1e-10:
        raise ArithmeticError(f"The axes are off by {deviation}.")  # no input does that: the proof rests on it
    return Axes(centre, directions, scale)


def _scale(vectors: FloatArray, centre: DoubleArray) -> float:
    """The power of two by which all are within a distance of 1 from the centre."""
    radius = max(float(np.linalg.norm(vectors[some] - centre, axis=1).max()) for some in pieces(*vectors.shape))
    return float(2.0 ** -np.frexp(radius * (1 + 1e-9))[1]) if radius > 0 else 1.0


def _principal(sample: DoubleArray) -> DoubleArray:
    width = sample.shape[1]
    basis = np.eye(width) if width <= MOST else _subspace(sample)
    inside = sample @ basis
    _, turned = np.linalg.eigh(inside.T @ inside)
    directions: DoubleArray = np.ascontiguousarray((basis @ turned[:, ::-1]).T)
    return directions


def _subspace(sample: DoubleArray) -> DoubleArray:
    """An orthonormal basis, float64 (d, at most MOST), of about the directions of the largest spread."""
    if len(sample) <= MOST:
        return np.linalg.qr(sample.T)[0]
    basis = np.random.default_rng(0).normal(size=(sample.shape[1], MOST))
    for _ in range(ROUNDS):
        basis = np.linalg.qr(sample.T @ (sample @ np.linalg.qr(basis)[0]))[0]
    return basis
