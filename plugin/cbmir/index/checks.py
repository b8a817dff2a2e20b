"""What every index refuses, in the same words."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cbmir.errors import BadRequest, EncoderMismatch
from cbmir.types import FloatArray, IdArray


def members(ids: npt.ArrayLike, vectors: npt.ArrayLike) -> tuple[IdArray, FloatArray]:
    """Ids int64 (n,), ascending, and their features float32 (n, d) in the same order.

    Raises:
        cbmir.errors.EncoderMismatch: if the features have no common dimension.
        cbmir.errors.BadRequest: if an id comes twice, ids and features differ in number, or a feature holds NaN
            or infinity.
    """
    given, features = np.asarray(ids, np.int64), np.asarray(vectors, np.float32)
    if features.ndim != 2 or features.shape[1] == 0:
        raise EncoderMismatch(f"Features must have the shape (n, dimension), not {features.shape}.")
    if given.shape != features.shape[:1]:
        raise BadRequest(f"{given.size} ids do not fit {len(features)} features.")
    if not np.isfinite(features).all():
        raise BadRequest("A feature holds NaN or infinity.", "Extract the features again.")
    return _ascending(given, features)


def _ascending(ids: IdArray, features: FloatArray) -> tuple[IdArray, FloatArray]:
    steps = np.diff(ids)
    if (steps > 0).all():
        return ids, features
    order = np.argsort(ids)
    if (ids[order][1:] == ids[order][:-1]).any():
        raise BadRequest("An id comes twice in one index.")
    return ids[order], features[order]


def queries(vectors: npt.ArrayLike, dimension: int) -> FloatArray:
    """Queries as float32 (q, dimension).

    Raises:
        cbmir.errors.EncoderMismatch: if they are not of that dimension.
        cbmir.errors.BadRequest: if one holds NaN or infinity.
    """
    given = np.asarray(vectors, np.float32)
    if given.ndim != 2 or given.shape[1] != dimension:
        raise EncoderMismatch(
            f"A query of shape {given.shape} cannot be compared with features of {dimension} numbers.",
            "Ask with a feature of the encoder that made the gallery's.",
        )
    if not np.isfinite(given).all():
        raise BadRequest("The query's feature holds NaN or infinity.", "Check the query's picture and the encoder.")
    return given


def wanted(k: int) -> int:
    """k itself.

    Raises:
        cbmir.errors.BadRequest: if it is below 1.
    """
    if k < 1:
        raise BadRequest(f"k must be at least 1, not {k}.")
    return k
