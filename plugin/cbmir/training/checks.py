"""What ends a training."""

from __future__ import annotations

import math

from cbmir.errors import TrainingFailed


def finite(loss: float, epoch: int) -> float:
    """The loss itself.

    Raises:
        cbmir.errors.TrainingFailed: if it is NaN or infinite.
    """
    if math.isfinite(loss):
        return loss
    raise TrainingFailed(
        f"The loss is no number any more in epoch {epoch}.",
        "Train with another seed, or with fewer epochs; the epochs before are kept.",
    )
