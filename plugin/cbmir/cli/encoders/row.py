"""An encoder as the commands tell of it in JSON."""

from __future__ import annotations

from typing import Any

from cbmir.store.tables import Encoder


def as_row(row: Encoder, count: int, old: int = 0) -> dict[str, Any]:
    """What is recorded of it, with how many features it has and how many of these are outdated."""
    return {
        "encoder": row.id,
        "architecture": row.architecture,
        "dimension": row.dimension,
        "weights_sha256": row.weights_sha256,
        "preprocessing": row.preprocessing,
        "training": row.training,
        "metrics": row.metrics,
        "features": count,
        "outdated": old,
        "created_at": row.created_at.isoformat(timespec="seconds"),
    }
