"""The accuracy after each epoch of a training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

import numpy as np
import torch
from torch import nn

from cbmir.encoders.base import scaled
from cbmir.encoders.cnn_autoencoder import CnnAutoencoder
from cbmir.evaluation.labels import LabelSets
from cbmir.evaluation.metrics import Rankings, accuracy
from cbmir.index import registry
from cbmir.store.training import TrainingFrame
from cbmir.training.loop import Judge, Material
from cbmir.training.objectives import Rows
from cbmir.types import FloatArray

K = 20
"""Nearest images that vote: the paper's first k."""
AT_ONCE = 16
"""Pictures that are encoded together."""


def judge(frames: list[TrainingFrame]) -> Judge:
    """Gives `validation_accuracy` of an autoencoder.

    That is the share of the validation part's images whose modality is that of most of the `K` nearest images of
    the training part.

    Args:
        frames: of the material's rows.
    """
    names = sorted({frame.modality for frame in frames})
    codes = np.array([names.index(frame.modality) for frame in frames], np.int64)

    def judged(network: nn.Module, material: Material) -> Mapping[str, float]:
        index = registry.build(material.train, _features(network, material, material.train))
        found = index.search(_features(network, material, material.validation), min(K, len(material.train)))
        nearest = codes[np.array([[row for row, _ in ranking] for ranking in found], np.int64)]
        wanted = codes[material.validation]
        relevant = np.ones(len(wanted), np.int64)  # the vote does not ask how many there are
        rankings = Rankings(wanted, nearest, relevant, LabelSets.of(names), {})
        return {"validation_accuracy": float(accuracy(rankings, K).mean())}

    return judged


def _features(network: nn.Module, material: Material, rows: Rows) -> FloatArray:
    encoder = cast(CnnAutoencoder, network).encoder
    with torch.inference_mode():
        device = next(encoder.parameters()).device
        return torch.cat([encoder(inputs.to(device)) for inputs in _inputs(material, rows)]).cpu().numpy()


def _inputs(material: Material, rows: Rows) -> Iterator[torch.Tensor]:
    for start in range(0, len(rows), AT_ONCE):
        piece = torch.from_numpy(scaled(material.pictures[rows[start : start + AT_ONCE]]))
        yield piece.contiguous(memory_format=torch.channels_last)
