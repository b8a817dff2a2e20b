"""How well a linear classifier reads something off the features: the source of an image, its size, its label."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cbmir.evaluation.labels import CodeArray
from cbmir.types import FloatArray

Doubles = npt.NDArray[np.float64]

PENALTY = 0.01
"""Ridge penalty of a mean square, for features scaled to a variance of 1."""


@dataclass(frozen=True)
class Predicted:
    """What the classifier reached on groups (patients) that it was not fitted on.

    Attributes:
        classes: that it was fitted on; at least 2.
        fitted, tested: images.
        accuracy: share of the tested whose class it names.
        chance: the most that naming one class for all would reach: the share of the class most frequent among the
            tested.
        balanced: mean over the tested classes of the share of each that it names.
        balanced_chance: that of guessing among the fitted classes without looking, 1 / classes.
    """

    classes: int
    fitted: int
    tested: int
    accuracy: float
    chance: float
    balanced: float
    balanced_chance: float

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def predict(fit: FloatArray, fit_codes: CodeArray, test: FloatArray, test_codes: CodeArray) -> Predicted | None:
    """Ridge regression onto -1 and 1, one class against the rest, in closed form (Hoerl and Kennard, 1970).

    Features are scaled by the fitted ones' mean and deviation; the class with the highest response is named.

    Args:
        fit: float32 (n, d); no group of it is in `test`.
        fit_codes: int64 (n,), from 0.
        test: float32 (m, d).
        test_codes: int64 (m,); images of a class that is not among the fitted are left out.

    Returns:
        None where there is nothing to tell: fewer than two classes fitted, or no image to test.
    """
    classes, known = np.unique(fit_codes), np.isin(test_codes, fit_codes)
    if len(classes) < 2 or not known.any():
        return None
    mean, deviation = fit.mean(axis=0, dtype=np.float64), fit.std(axis=0, dtype=np.float64)
    scale = np.where(deviation > 0, deviation, 1.0)
    weights, offset = _ridge((fit - mean) / scale, np.where(fit_codes[:, np.newaxis] == classes, 1.0, -1.0))
    named, true = classes[((test[known] - mean) / scale @ weights + offset).argmax(axis=1)], test_codes[known]
    return Predicted(
        classes=len(classes),
        fitted=len(fit),
        tested=int(known.sum()),
        accuracy=float((named == true).mean()),
        chance=float(np.bincount(true).max() / len(true)),
        balanced=float(np.mean([(named[true == each] == each).mean() for each in np.unique(true)])),
        balanced_chance=1 / len(classes),
    )


def _ridge(centred: Doubles, targets: Doubles) -> tuple[Doubles, Doubles]:
    """Weights (d, c) and offsets (c,) of the targets (n, c) from features (n, d) whose mean is 0."""
    offset = targets.mean(axis=0)
    gram = centred.T @ centred + PENALTY * len(centred) * np.eye(centred.shape[1])
    return np.linalg.solve(gram, centred.T @ (targets - offset)), offset
