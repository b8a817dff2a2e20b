"""How well a score tells what is there from what is not."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]


def auroc(absent: Doubles, present: Doubles) -> float | None:
    """The area under the ROC curve: the chance that a query of the first kind scores above one of the second.

    Equal scores count half.

    Args:
        absent: scores of queries that should score high, float64 (n,).
        present: of those that should score low, float64 (m,).

    Returns:
        0 to 1, 0.5 by guessing; None if one kind has no query.
    """
    if not len(absent) or not len(present):
        return None
    low = np.sort(present)
    below = np.searchsorted(low, absent, "left") + np.searchsorted(low, absent, "right")
    return float(below.mean() / (2 * len(low)))
