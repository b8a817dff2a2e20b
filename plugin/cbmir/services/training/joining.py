"""From what a training by labels has learnt, and what the network knew before, to 48 numbers in one file."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from cbmir.encoders.efficientnet_lite import BESIDE
from cbmir.encoders.reduction import Reduction, principal, principal_of_both
from cbmir.services.training.start import COUNTERS
from cbmir.training.by_labels import LabelTraining
from cbmir.training.checkpoint import Tensors
from cbmir.training.objectives import Rows

DIMENSION = 48
WHITENING = 0.0
"""Measured beside 0.5 and 1, on sources that were trained on and on some that were not: it is as good."""
SHARE = 0.75
"""Of all variance that of the ending that was not trained: as much as takes nothing from what was trained on, on
the validation parts; docs/decisions/encoders.md."""


def joined(
    training: LabelTraining, learnt: Tensors, beside: Mapping[str, Tensor], rows: Rows
) -> tuple[Tensors, int]:
    """The tensors of the encoder's file, and its dimension.

    Convolutions are kept as float16 where there are two endings: their rounding is far below what a training
    changes, and the file is no larger than one of a single ending.

    Args:
        training: which makes features.
        learnt: the network's state.
        beside: the blocks of a second ending, by the names that they have in a state; empty for none.
        rows: of the pictures from which the principal directions are learnt.
    """
    if not beside:
        reduced = principal(training.features(learnt, rows), DIMENSION, whiten=WHITENING, at_most=True)
        return _with({}, learnt, reduced)
    learnt, other = _small(learnt), _small(beside)
    both = training.features(learnt, rows), training.second_features({**learnt, **other}, rows)
    reduced = principal_of_both(*both, DIMENSION, share=SHARE, whiten=WHITENING, at_most=True)
    return _with({BESIDE + name: each for name, each in other.items()}, learnt, reduced)


def _with(beside: Tensors, learnt: Tensors, reduced: Reduction) -> tuple[Tensors, int]:
    own = {name: each for name, each in learnt.items() if not name.endswith(COUNTERS)}
    parts = {f"reduce.{part}": torch.from_numpy(getattr(reduced, part)) for part in ("weight", "bias")}
    return {**own, **beside, **parts}, len(reduced.bias)


def _small(tensors: Mapping[str, Tensor]) -> Tensors:
    return {name: each.half() if each.dim() > 1 else each for name, each in tensors.items()}
