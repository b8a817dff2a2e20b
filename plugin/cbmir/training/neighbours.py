"""Whether the pictures that a network puts nearest carry the right labels: what a training by labels is for."""

from __future__ import annotations

from torch import Tensor

NEAREST = 5


def precision(queries: Tensor, wanted: Tensor, gallery: Tensor, labels: Tensor) -> float:
    """precision@5: the share of the nearest of the gallery that have a label in common with the query, a mean over
    the queries that have one; 0 where there is none, or nothing to find.

    Args:
        queries, gallery: float32 (n, d) and (m, d), of unit length.
        wanted, labels: float32 (n, l) and (m, l), what share of a picture each label has; 0 where it has none.
    """
    asking, found = wanted.sum(1) > 0, labels.sum(1) > 0
    if not asking.any() or not found.any():
        return 0.0
    nearest = (queries[asking] @ gallery[found].T).topk(min(NEAREST, int(found.sum()))).indices
    right = ((labels[found][nearest] > 0) & (wanted[asking][:, None] > 0)).any(2)
    return float(right.float().mean())
