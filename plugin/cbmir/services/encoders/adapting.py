"""The use case: an encoder for the installation's own kinds of pictures, without labels and without a training.

An encoder by labels looks at the means of some maps of its network; a feature is 48 principal components of them,
the directions in which those pictures differ that it was trained on. Other kinds of pictures differ in others. The
network sees much of that, and the components leave it out: they are learnt anew, of what is here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import safetensors.numpy

from cbmir.encoders import efficientnet_lite, registry
from cbmir.encoders.base import Preprocessing
from cbmir.encoders.efficientnet_lite import SHARES
from cbmir.encoders.reduction import principal_of_parts
from cbmir.encoders.weights_file import WeightsFile
from cbmir.errors import BadRequest, EmptyGallery
from cbmir.progress import Progress
from cbmir.services.encoders.learning import own_features
from cbmir.services.features.extract import weights_of
from cbmir.settings import Settings
from cbmir.store import encoders
from cbmir.store.session import Database
from cbmir.store.tables import Encoder
from cbmir.types import FloatArray
from cbmir.words import counted

FEWEST = 200
"""Pictures that components are learnt from, at least: of one kind so many give what thousands give."""


@dataclass(frozen=True)
class Adapted:
    """An encoder that was added.

    Attributes:
        encoder_id: its id.
        before: that of the one it comes from.
        pictures: of the installation, that it was learnt from.
        odd: row ids of frames of which the network gives a number that is not finite.
    """

    encoder_id: str
    before: str
    pictures: int
    odd: list[int]


def adapt(database: Database, settings: Settings, encoder_id: str | None, progress: Progress) -> Adapted:
    """Add an encoder that has its 48 numbers from how the installation's own pictures differ.

    The network stays as it is, and which patients it was trained on is known of the new one, too.

    Args:
        database: of the installation.
        settings: of the installation.
        encoder_id: the one that it comes from; None is the one in use.
        progress: told before each picture.

    Raises:
        cbmir.errors.NotFound: if there is no such encoder, or its weights are not here.
        cbmir.errors.BadRequest: if it has no such components.
        cbmir.errors.EmptyGallery: if there are too few pictures.
        cbmir.errors.WeightsMismatch: if its weights are damaged.
        cbmir.errors.DiskFull, cbmir.errors.Unavailable: if it cannot be stored.
        cbmir.errors.JobCancelled: if asked to stop.
    """
    with database.read() as session:
        row = encoders.resolve(session, encoder_id)
    _check(row)
    data = registry.read(weights_of(row, settings), row.weights_sha256)
    network, sizes = efficientnet_lite.looking_at(data, row.id, Preprocessing.from_json(row.preprocessing), SHARES)
    features, odd = own_features(database, settings, network, progress)
    if len(features) < FEWEST:
        found = counted(len(features), "picture")
        raise EmptyGallery(f"It could learn from {found}, too few: {FEWEST} at least.", "Ingest more.")
    weights, bias = components(features, sizes, row.training["reduction"])
    file = WeightsFile.of(row.id.rpartition("-")[0], _with(data, weights, bias))
    _add(database, settings, row, file, len(bias), len(features))
    return Adapted(file.encoder_id, row.id, len(features), odd)


def components(
    features: FloatArray, sizes: Mapping[str, int], how: Mapping[str, Any]
) -> tuple[dict[str, FloatArray], FloatArray]:
    """The dense layer of a network whose pictures are these.

    Args:
        features: float32 (n, all channels), of `efficientnet_lite.looking_at`.
        sizes: the channels of each map, from there too.
        how: `principal_components` and `whitening`, as the record of the training has them.

    Returns:
        The weight for each map, float32 (fewer, channels), and the bias, (fewer,).
    """
    ends = np.cumsum(list(sizes.values()))[:-1]
    parts = dict(zip(sizes, np.split(features, ends, axis=1), strict=True))
    shares = {name: SHARES[name] for name in sizes}
    return principal_of_parts(parts, shares, how["principal_components"], whiten=how["whitening"], at_most=True)


def _check(row: Encoder) -> None:
    """Refuse an encoder that has no such components."""
    if row.architecture != efficientnet_lite.NAME or "whitening" not in row.training.get("reduction", {}):
        raise BadRequest(
            f"{row.id} is not made of maps by principal components.",
            "Name one that comes with cbmir or that `cbmir train --encoder efficientnet-lite0` made; an encoder in "
            "ONNX is given components of your pictures by `cbmir encoders add FILE.onnx --reduce 48`.",
        )


def _with(data: bytes, weights: Mapping[str, FloatArray], bias: FloatArray) -> bytes:
    """A weights file with another dense layer."""
    kept = {name: each for name, each in safetensors.numpy.load(data).items() if not name.startswith("reduce.")}
    made = {f"reduce.{name}.weight": each for name, each in weights.items()}
    return safetensors.numpy.save({**kept, **made, "reduce.bias": bias})


def _add(
    database: Database, settings: Settings, row: Encoder, file: WeightsFile, dimension: int, pictures: int
) -> None:
    file.write(settings.weights)
    adapted = {"from": row.id, "pictures": pictures}
    how: dict[str, Any] = {**row.training, "maps": SHARES, "adapted": adapted}
    with database.write() as session:
        encoders.add(
            session,
            **file.columns(),
            architecture=row.architecture,
            dimension=dimension,
            preprocessing=row.preprocessing,
            training=how,
            metrics={},
        )
        encoders.set_parts(session, file.encoder_id, encoders.parts(session, row.id))
