"""From what a training by labels has learnt, and what the network knew before, to few numbers in one file."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from cbmir.encoders import weights
from cbmir.encoders.base import Preprocessing, scaled
from cbmir.encoders.components import Views
from cbmir.encoders.efficientnet_lite import BESIDE
from cbmir.services.training.start import COUNTERS
from cbmir.training.checkpoint import Tensors
from cbmir.types import ByteArray


def joined(
    learnt: Tensors, beside: Mapping[str, Tensor], pictures: ByteArray, threads: int
) -> tuple[Tensors, Views]:
    """The tensors of the encoder's file, and the maps that it looks at.

    Convolutions are kept as float16: their rounding is far below what a training changes.

    Args:
        learnt: the network's state.
        beside: the blocks of a second ending, by the names that they have in a state; empty for none.
        pictures: from which the components are learnt, uint8 (n, 1, side, side).
        threads: that look at pictures at once.
    """
    both = {**_small(learnt), **{BESIDE + name: each for name, each in _small(beside).items()}}
    views = Views.of(weights.to_bytes(both), "what was learnt", Preprocessing(pictures.shape[-1]))
    with ThreadPoolExecutor(threads) as pool:
        seen = np.concatenate(list(pool.map(lambda each: views.network.encode(scaled(each[np.newaxis])), pictures)))
    return both | {name: torch.from_numpy(each) for name, each in views.tensors(seen).items()}, views


def _small(tensors: Mapping[str, Tensor]) -> Tensors:
    kept = {name: each for name, each in tensors.items() if not name.endswith(COUNTERS)}
    return {name: each.half() if each.dim() > 1 else each for name, each in kept.items()}
