"""What the paper reports, as fractions."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

KS = (20, 40, 60, 80, 100)
"""Numbers of retrieved images."""

EPOCHS = 35
"""By which the loss has converged, and lies below `LOSS`."""
LOSS = 0.2

TABLE_1: Mapping[int, Mapping[str, float]] = MappingProxyType(
    {
        20: {"accuracy": 0.9834, "precision": 0.9784, "recall": 0.9842},
        40: {"accuracy": 0.9756, "precision": 0.9715, "recall": 0.9715},
        60: {"accuracy": 0.9611, "precision": 0.9548, "recall": 0.9487},
        80: {"accuracy": 0.9435, "precision": 0.9566, "recall": 0.9424},
        100: {"accuracy": 0.9300, "precision": 0.9400, "recall": 0.9300},
    }
)
"""k -> metric -> value, of the autoencoder. The recall can only be the capped one: see docs/reproduce.md."""

TABLE_2: Mapping[str, float] = MappingProxyType(
    {"dcnn": 0.8842, "alexnet": 0.8765, "vgg16": 0.9234, "resnet50": 0.9374, "cnn-autoencoder": 0.9587}
)
"""Method -> accuracy. The autoencoder's is the mean of its five of `TABLE_1`, which tells what is meant."""

NAMES: Mapping[str, str] = MappingProxyType(
    {
        "dcnn": "DCNN",
        "alexnet": "AlexNet",
        "vgg16": "VGG16",
        "resnet50": "ResNet50",
        "cnn-autoencoder": "CNN autoencoder",
    }
)
"""Method -> as it is written, in the order of the paper's comparison."""
OWN = "cnn-autoencoder"
"""The paper's own method."""
