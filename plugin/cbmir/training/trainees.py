"""The kinds of network that can be trained: how each is made, and what it is trained to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from torch import nn

from cbmir.encoders import cnn_encoder
from cbmir.encoders.cnn_autoencoder import CnnAutoencoder
from cbmir.encoders.rivals import dcnn
from cbmir.encoders.rivals.dcnn import Dcnn
from cbmir.errors import NotFound, TrainingFailed
from cbmir.training.objectives import Objective, naming, reconstruction
from cbmir.training.request import TrainingRequest

Labels = Sequence[str]
"""Of all pictures, by their rows."""


@dataclass(frozen=True)
class Trainee:
    """A kind of network.

    Attributes:
        dimension: numbers in a feature.
        loss: what is made smaller, in words.
        make: the network, initialised by the request's seed; its weights are what is stored.
        objective: what it is trained to do with pictures of these labels.
    """

    dimension: int
    loss: str
    make: Callable[[TrainingRequest, Labels], nn.Module]
    objective: Callable[[Labels], Objective]


def _autoencoder(request: TrainingRequest, _labels: Labels) -> nn.Module:
    network = CnnAutoencoder(request.side)
    network.initialise(request.seed)
    return network


def _dcnn(request: TrainingRequest, labels: Labels) -> nn.Module:
    count = len(set(labels))
    if count < 2:
        raise TrainingFailed(
            f"All pictures have the same label: a {dcnn.NAME} learns to tell labels apart, and needs two at least.",
            "Ingest with a manifest that gives sub-classes, or train a cnn-autoencoder, which needs no labels.",
        )
    network = Dcnn(count)
    network.initialise(request.seed)
    return network


TRAINEES: Mapping[str, Trainee] = MappingProxyType(
    {
        cnn_encoder.NAME: Trainee(
            cnn_encoder.DIMENSION, "mean squared error", _autoencoder, lambda _labels: reconstruction
        ),
        dcnn.NAME: Trainee(dcnn.DIMENSION, "cross-entropy of the label", _dcnn, naming),
    }
)
"""By the name of the architecture."""


def trainee(architecture: str) -> Trainee:
    """The kind of network of this name.

    Raises:
        cbmir.errors.NotFound: if there is none that can be trained.
    """
    try:
        return TRAINEES[architecture]
    except KeyError as error:
        raise NotFound(
            f"{architecture!r} is no architecture that can be trained here.",
            f"Choose {' or '.join(TRAINEES)}.",
        ) from error
