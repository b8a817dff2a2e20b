"""The paper's rivals as encoders of the installation: their weights, and the split of the paper's own network."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import torch
from torch import nn

from cbmir.encoders import registry, weights
from cbmir.encoders.base import Preprocessing
from cbmir.encoders.rivals.alexnet import AlexNet
from cbmir.encoders.rivals.resnet50 import ResNet50
from cbmir.encoders.rivals.vgg16 import Vgg16
from cbmir.encoders.weights_file import WeightsFile
from cbmir.services.evaluation.reproduction.wanted import Wanted
from cbmir.settings import Settings
from cbmir.store import encoders
from cbmir.store.session import Database
from cbmir.types import Part

FROZEN: Mapping[str, Callable[[], nn.Module]] = MappingProxyType(
    {"alexnet": AlexNet, "vgg16": Vgg16, "resnet50": ResNet50}
)
"""Those that come with weights of elsewhere."""
CHANNELS = 3


def weights_of(name: str, wanted: Wanted) -> tuple[bytes, str] | None:
    """A rival's weights as safetensors, and in words where they are from; None where they are not to be had."""
    if wanted.untrained:
        return untrained(name, wanted.seed), f"none: drawn by chance with seed {wanted.seed}, untrained"
    if wanted.weights is None or not (path := file_of(name, wanted.weights)).is_file():
        return None
    data = path.read_bytes()
    return data, f"pretrained, not trained further; SHA-256 {hashlib.sha256(data).hexdigest()[:12]}"


def file_of(name: str, folder: Path) -> Path:
    """Where a rival's weights are looked for."""
    return folder / f"{name}.safetensors"


def untrained(name: str, seed: int) -> bytes:
    """Weights as torch draws them by default; the same seed gives the same."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        return weights.to_bytes(FROZEN[name]().state_dict())


def add(
    database: Database,
    settings: Settings,
    name: str,
    data: bytes,
    said: str,
    side: int,
    parts: Mapping[int, Part],
    called: str = "",
) -> str:
    """Store a rival as an encoder with this split; one that is stored already is brought up to date.

    Args:
        database, settings: the installation's.
        name: the rival's.
        data: its weights.
        said: where they are from, in words.
        side: of its input in pixels.
        parts: the split, by the row ids of the groups.
        called: the file that they come from, for the errors; empty if from none.

    Returns:
        Its id.

    Raises:
        cbmir.errors.WeightsMismatch: if the weights are not of this architecture.
        cbmir.errors.DiskFull: if they cannot be stored.
    """
    file, preprocessing = WeightsFile.of(name, data), Preprocessing(side, CHANNELS).as_json()
    dimension = registry.of_bytes(name, data, called or file.name, preprocessing).dimension
    file.write(settings.weights)
    with database.write() as session:
        encoders.add(
            session,
            **file.columns(),
            architecture=name,
            dimension=dimension,
            preprocessing=preprocessing,
            training={"weights": said},
            metrics={},
        )
        encoders.set_parts(session, file.encoder_id, parts)
    return file.encoder_id
