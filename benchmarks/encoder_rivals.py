"""The frozen networks that our encoders are measured beside: none of them ever saw these images."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from dinov2 import Dinov2
from encoder_images import Encodes, Kept

from cbmir.encoders import efficientnet_lite, efficientnet_weights, photographs
from cbmir.encoders.base import Preprocessing
from cbmir.encoders.rivals import alexnet, resnet50
from cbmir.types import FloatArray

SIDE = 224
LOADERS: dict[str, tuple[str, Callable[[bytes], Encodes]]] = {
    "alexnet": ("AlexNet, 256", lambda data: alexnet.load(data, "alexnet", Preprocessing(SIDE, 3))),
    "resnet50": ("ResNet50, 2048", lambda data: resnet50.load(data, "resnet50", Preprocessing(SIDE, 3))),
    "dinov2": ("DINOv2 ViT-S/14, 384", Dinov2),
}
"""The name of a weights file; what it is called in the tables, with the numbers of its feature; what loads it."""
OF_UNIT_LENGTH = "resnet50"


def frozen(kept: Kept, networks: Path | None) -> Iterator[tuple[str, FloatArray]]:
    """The name of each network, and its features of all images.

    Args:
        kept: the images, and what was made of them.
        networks: the folder with the weights of all but the first two; a missing file is said and left out.
    """
    yield "raw pixels 16 x 16", kept.pixels(16)
    weights = efficientnet_weights.installed()
    wanted = Preprocessing(SIDE, 3, mean=photographs.MEAN, std=photographs.DEVIATION)
    lite = efficientnet_lite.load(weights, "efficientnet-lite0", wanted)
    yield "EfficientNet-Lite0, 1280", kept.of("efficientnet-lite0", _sha256(weights), lite)
    for file, (name, load) in LOADERS.items():
        path = networks / f"{file}.safetensors" if networks else None
        if path is None or not path.exists():
            print(f"left out: {name}, as there is no {file}.safetensors in the folder of networks")
            continue
        data = path.read_bytes()
        features = kept.of(file, _sha256(data), load(data))
        yield name, features
        if file == OF_UNIT_LENGTH:
            yield f"{name}, unit length", unit_length(features)


def unit_length(features: FloatArray) -> FloatArray:
    """Each row divided by its length; one of zeros stays."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(features / np.where(lengths > 0, lengths, 1), np.float32)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
