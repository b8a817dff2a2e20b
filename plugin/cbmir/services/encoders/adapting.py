"""The use case: an encoder for the installation's own kinds of pictures, without labels and without a training.

An encoder by labels looks at the means of some maps of its network; a feature is 48 principal components of them,
the directions in which those pictures differ that it was trained on. Other kinds of pictures differ in others. The
network sees much of that, and the components leave it out: they are learnt anew, of what is here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import safetensors.numpy

from cbmir.encoders import efficientnet_lite, registry
from cbmir.encoders.base import Preprocessing
from cbmir.encoders.components import Views
from cbmir.encoders.weights_file import WeightsFile
from cbmir.errors import BadRequest, EmptyGallery
from cbmir.progress import Progress
from cbmir.services.encoders.learning import own_features
from cbmir.services.features.loading import weights_of
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
    views = Views.of(data, row.id, Preprocessing.from_json(row.preprocessing))
    seen, odd = own_features(database, settings, views.network, progress)
    if len(seen) < FEWEST:
        found = counted(len(seen), "picture")
        raise EmptyGallery(f"It could learn from {found}, too few: {FEWEST} at least.", "Ingest more.")
    file = WeightsFile.of(row.id.rpartition("-")[0], _with(data, made := views.tensors(seen)))
    how = {**row.training, **views.how(), "adapted": {"from": row.id, "pictures": len(seen)}}
    _add(database, settings, row, file, len(made["reduce.bias"]), how)
    return Adapted(file.encoder_id, row.id, len(seen), odd)


def _check(row: Encoder) -> None:
    """Refuse an encoder that has no such components."""
    if row.architecture != efficientnet_lite.NAME or "whitening" not in row.training.get("reduction", {}):
        raise BadRequest(
            f"{row.id} is not made of maps by principal components.",
            "Name one that comes with cbmir or that `cbmir train --encoder efficientnet-lite0` made; an encoder in "
            "ONNX is given components of your pictures by `cbmir encoders add FILE.onnx --reduce 48`.",
        )


def _with(data: bytes, made: Mapping[str, FloatArray]) -> bytes:
    """A weights file with another dense layer."""
    kept = {name: each for name, each in safetensors.numpy.load(data).items() if not name.startswith("reduce.")}
    return safetensors.numpy.save({**kept, **made})


def _add(
    database: Database, settings: Settings, row: Encoder, file: WeightsFile, dimension: int, how: Mapping[str, Any]
) -> None:
    file.write(settings.weights)
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
