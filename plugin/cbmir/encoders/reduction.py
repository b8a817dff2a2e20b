"""Features of fewer numbers: their principal components, all of one weight if wished (whitening)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cbmir.errors import BadRequest
from cbmir.types import FloatArray

SMALLEST_SHARE = 1e-9
"""A direction with less than this share of the first one's variance is rounding, not a component."""


@dataclass(frozen=True)
class Reduction:
    """A linear map of features.

    Attributes:
        weight: float32 (fewer, dimension).
        bias: float32 (fewer,).
    """

    weight: FloatArray
    bias: FloatArray

    def apply(self, feature: FloatArray) -> FloatArray:
        """float32 (dimension,) -> float32 (fewer,)."""
        reduced: FloatArray = self.weight @ feature + self.bias
        return reduced


def principal(features: FloatArray, fewer: int, *, whiten: float, at_most: bool = False) -> Reduction:
    """The map to the directions in which features differ most, the mean of all in the origin.

    Args:
        features: float32 (n, dimension), finite.
        fewer: numbers wanted, 1 to dimension - 1.
        whiten: 0 leaves the directions as they are; 1 divides each by its standard deviation, so that all weigh
            the same in a distance; numbers between are the power of the deviation.
        at_most: take fewer numbers still where the features differ in fewer directions.

    Raises:
        cbmir.errors.BadRequest: if so many cannot be learned from these features.
    """
    count, dimension = features.shape
    if not 1 <= fewer < dimension:
        raise BadRequest(f"A feature of {dimension} numbers cannot be reduced to {fewer}.", "Ask for fewer.")
    if count <= fewer and not at_most:
        raise BadRequest(
            f"{count} pictures are too few to learn {fewer} numbers from.", "Ingest more, or ask for fewer numbers."
        )
    mean = features.mean(axis=0, dtype=np.float64)
    centred = features - mean
    variances, directions = np.linalg.eigh(centred.T @ centred / count)  # ascending
    differing = int((variances > SMALLEST_SHARE * max(variances[-1], np.finfo(np.float32).tiny)).sum())
    if at_most:
        fewer = min(fewer, max(1, differing))
    variances, directions = variances[::-1][:fewer], _signed(directions[:, ::-1][:, :fewer].T)
    if differing < fewer:
        raise BadRequest(
            f"The features of {count} pictures differ in {differing} directions, not in {fewer}.",
            "Ingest more different pictures, or ask for fewer numbers.",
        )
    weight = directions / variances[:, None] ** (whiten / 2)
    return Reduction(_stored(weight), _stored(-weight @ mean))


def _stored(values: np.ndarray) -> FloatArray:
    """float32, row after row: safetensors writes an array's memory as it lies, and reads it so."""
    return np.ascontiguousarray(values, np.float32)


def _signed(directions: np.ndarray) -> np.ndarray:
    """The same directions, the largest part of each positive: the sign is free, and so it is repeatable."""
    largest = np.take_along_axis(directions, np.abs(directions).argmax(axis=1, keepdims=True), axis=1)
    return directions * np.where(largest < 0, -1.0, 1.0)
