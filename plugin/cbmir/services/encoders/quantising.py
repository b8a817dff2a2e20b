"""The use case: an encoder in 8 bits, where the neighbours that it finds are those of the encoder it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cbmir.encoders import onnx_file
from cbmir.encoders.quantisation import is_quantised, quantised
from cbmir.encoders.runtime import OnnxEncoder
from cbmir.encoders.weights_file import WeightsFile
from cbmir.errors import BadRequest, EmptyGallery
from cbmir.pictures.shelf import Shelf
from cbmir.progress import Progress
from cbmir.services.features.loading import load_encoder
from cbmir.settings import Settings
from cbmir.store import encoders, features, frames, tables
from cbmir.store.session import Database
from cbmir.types import FloatArray

LOOKED_AT = 2000
"""Pictures that the two are compared on, at most."""

LEARNED_FROM = 256
"""Of these, those that the scales are learned from: a few more each give no others."""

FEWEST = 50
LARGEST_FALL, SMALLEST_OVERLAP = 0.005, 0.9
K = 5


@dataclass(frozen=True)
class Comparison:
    """How an encoder in 8 bits finds neighbours, beside the one that it comes from.

    Attributes:
        pictures: each was a query, and all others of other patients the gallery.
        overlap: of the five nearest, the share that both found; mean.
        precision, precision_in_8_bits: share of the five nearest with the query's subclass; None without labels.
    """

    pictures: int
    overlap: float
    precision: float | None
    precision_in_8_bits: float | None

    @property
    def serves(self) -> bool:
        """Whether the neighbours stay: precision falls by less than 0.005; without labels, nine of ten stay."""
        if self.precision is None or self.precision_in_8_bits is None:
            return self.overlap >= SMALLEST_OVERLAP
        return self.precision - self.precision_in_8_bits < LARGEST_FALL

    def as_json(self) -> dict[str, Any]:
        """As it is recorded with the encoder."""
        return asdict(self)


def quantise(
    database: Database, settings: Settings, encoder_id: str | None, progress: Progress
) -> tuple[str, Comparison]:
    """Add an encoder in 8 bits beside one whose features are extracted.

    Args:
        database: of the installation.
        settings: of the installation.
        encoder_id: the one it comes from; None is the one in use.
        progress: told after each picture.

    Returns:
        The new encoder's id, and how it compares.

    Raises:
        cbmir.errors.NotFound: if there is no such encoder, or its weights are not here.
        cbmir.errors.EmptyGallery: if it has too few features to compare with, or they are of too few patients.
        cbmir.errors.BadRequest: if it cannot be brought into 8 bits, or the neighbours do not stay.
    """
    with database.read() as session:
        row = encoders.resolve(session, encoder_id)
        frame_ids, vectors = features.matrix(session, row.id)
        keys, labelled = frames.pictures(session, row.id), frames.labelled(session, row.id, "subclass")
    if len(frame_ids) < FEWEST:
        raise EmptyGallery(
            f"{row.id} has {len(frame_ids)} features, too few to compare with: {FEWEST} at least.",
            f"Ingest more, then `cbmir extract --encoder {row.id}`.",
        )
    network = load_encoder(row, settings)
    if not isinstance(network, OnnxEncoder):
        raise BadRequest(f"The architecture {row.architecture} is not run by ONNX Runtime: it has no 8 bits.")
    if is_quantised(network.model):
        raise BadRequest(
            f"{row.id} is in 8 bits already.", "Name the encoder that it comes from: `cbmir encoders`."
        )
    chosen = np.unique(np.linspace(0, len(frame_ids) - 1, LOOKED_AT).astype(np.int64))
    _check_patients(row.id, labelled.group_ids[chosen])
    shelf = Shelf(settings.pictures)
    inputs = [network.preprocessing.apply(shelf.get(keys[int(frame_ids[each])])) for each in chosen]
    every = max(1, len(inputs) // LEARNED_FROM)
    data = onnx_file.packed(quantised(network.model, inputs[::every]), network.output, network.reduction)
    smaller = onnx_file.load(data, row.id, network.preprocessing)
    found = _encoded(smaller, inputs, progress)
    values = [labelled.values[each] for each in chosen]
    comparison = compared(vectors[chosen], found, labelled.group_ids[chosen], values)
    if not comparison.serves:
        raise BadRequest(
            f"In 8 bits {row.id} does not find the same neighbours: {words(comparison)}.", "Keep it as it is."
        )
    return _add(database, settings, row, data, comparison), comparison


def _check_patients(encoder_id: str, groups: npt.NDArray[np.int64]) -> None:
    """Refuse where a picture has not five others of other patients: any encoder would pass then."""
    others = len(groups) - int(np.unique(groups, return_counts=True)[1].max())
    if others < K:
        raise EmptyGallery(
            f"{encoder_id} has features of too few patients to compare with: all but {others} are of one.",
            "Ingest pictures of more; for plain images a manifest's column `group` tells patients apart.",
        )


def compared(
    whole: FloatArray, in_8_bits: FloatArray, groups: npt.NDArray[np.int64], labels: Sequence[str | None]
) -> Comparison:
    """Two encoders' features of the same pictures: how alike the five nearest of other patients are.

    Args:
        whole, in_8_bits: float32 (n, dimension).
        groups: int64 (n,), the patient of each; every picture has five of other patients at least.
        labels: n, None where there is none.
    """
    first, second = (_nearest(each, groups) for each in (whole, in_8_bits))
    overlap = np.mean([len(set(one) & set(two)) / K for one, two in zip(first, second, strict=True)])
    if all(each is None for each in labels):
        return Comparison(len(whole), float(overlap), None, None)
    names = np.array([each or "" for each in labels])
    return Comparison(len(whole), float(overlap), _precision(first, names), _precision(second, names))


def words(comparison: Comparison) -> str:
    """The comparison in one line."""
    said = f"of the five nearest {comparison.overlap:.1%} stay"
    if comparison.precision is None or comparison.precision_in_8_bits is None:
        return said
    return f"{said}, precision {comparison.precision:.3f} becomes {comparison.precision_in_8_bits:.3f}"


def _nearest(vectors: FloatArray, groups: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """int64 (n, 5): rows of the nearest of other groups."""
    wide = vectors.astype(np.float64)
    squares = (wide**2).sum(axis=1)
    distances = squares[:, None] + squares - 2 * wide @ wide.T
    distances[groups[:, None] == groups] = np.inf
    return np.argsort(distances, axis=1, kind="stable")[:, :K]


def _precision(nearest: npt.NDArray[np.int64], names: npt.NDArray[np.str_]) -> float:
    labelled = names != ""
    return float((names[nearest] == names[:, None])[labelled].mean())


def _encoded(network: OnnxEncoder, inputs: Sequence[FloatArray], progress: Progress) -> FloatArray:
    vectors = np.empty((len(inputs), network.dimension), np.float32)
    for row, each in enumerate(inputs):
        vectors[row] = network.encode(each[np.newaxis])[0]
        progress.update(row + 1, len(inputs), "comparing")
    return vectors


def _add(database: Database, settings: Settings, row: tables.Encoder, data: bytes, comparison: Comparison) -> str:
    file = WeightsFile.of(f"{row.id.rpartition('-')[0]}-int8", data)
    file.write(settings.weights)
    with database.write() as session:
        encoders.add(
            session,
            **file.columns(),
            architecture=onnx_file.NAME,
            dimension=row.dimension,
            preprocessing=row.preprocessing,
            training={"in_8_bits": {"from": row.id, **comparison.as_json()}},
            metrics={},
        )
        encoders.set_parts(session, file.encoder_id, encoders.parts(session, row.id))
    return file.encoder_id
