"""From what a training by labels has learnt, and what the network knew before, to 48 numbers in one file."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from cbmir.encoders.efficientnet_lite import BESIDE, SHARES
from cbmir.encoders.reduction import principal_of_parts
from cbmir.services.training.start import COUNTERS
from cbmir.training.by_labels import LabelTraining
from cbmir.training.checkpoint import Tensors
from cbmir.training.objectives import Rows

DIMENSION = 48
WHITENING = 0.25
"""The power of the deviation that each direction is divided by: see docs/decisions/encoders.md."""


def joined(
    training: LabelTraining, learnt: Tensors, beside: Mapping[str, Tensor], rows: Rows
) -> tuple[Tensors, dict[str, float], int]:
    """The tensors of the encoder's file, the share of each map that is looked at, and the dimension.

    Convolutions are kept as float16: their rounding is far below what a training changes.

    Args:
        training: which looks at pictures.
        learnt: the network's state.
        beside: the blocks of a second ending, by the names that they have in a state; empty for none.
        rows: of the pictures from which the principal directions are learnt.
    """
    learnt, other = _small(learnt), _small(beside)
    own, second = _views("", learnt), _views(BESIDE, other)
    means = training.means(learnt, rows, own)
    if second:
        made = training.means({**learnt, **other}, rows, second)
        means |= {BESIDE + name: each for name, each in made.items()}
    shares = {name: SHARES[name] for name in means}
    reduce, bias = principal_of_parts(means, shares, DIMENSION, whiten=WHITENING, at_most=True)
    parts = {f"reduce.{name}.weight": each for name, each in reduce.items()} | {"reduce.bias": bias}
    return (
        {
            **{name: each for name, each in learnt.items() if not name.endswith(COUNTERS)},
            **{BESIDE + name: each for name, each in other.items()},
            **{name: torch.from_numpy(each) for name, each in parts.items()},
        },
        shares,
        len(bias),
    )


def _views(ending: str, tensors: Tensors) -> list[str]:
    """The maps of an ending that are looked at, as far as it reaches."""
    names = [name.removeprefix(ending) for name in SHARES if name.startswith(BESIDE) == bool(ending)]
    return [name for name in names if any(each.startswith(f"{name}.") for each in tensors)]


def _small(tensors: Mapping[str, Tensor]) -> Tensors:
    return {name: each.half() if each.dim() > 1 else each for name, each in tensors.items()}
