"""The heat maps of two pictures, and what the encoder keeps of each."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from PIL import Image

from cbmir.encoders import decoders, machine, occlusion
from cbmir.encoders.base import Encoder
from cbmir.evaluation.deletion import Deleted, deletion
from cbmir.services.features.loading import load_encoder
from cbmir.services.retrieval.explaining.drawing import png
from cbmir.settings import Settings
from cbmir.store import tables
from cbmir.types import ByteArray, FloatArray

DIGITS = 5
"""Decimals of a map's numbers in JSON."""


@dataclass(frozen=True)
class Half:
    """One of the two pictures.

    Attributes:
        drive: float32 (16, 16): see `cbmir.encoders.occlusion.drive`.
        deleted: the map put to the test.
        reconstruction: uint8 (side, side) or (side, side, 3), what the decoder draws from the feature; None where
            the encoder has no decoder.
    """

    drive: FloatArray
    deleted: Deleted
    reconstruction: ByteArray | None

    def as_json(self) -> dict[str, Any]:
        """`map` as rows of numbers; `deletion`, its test; `reconstruction` as a PNG in base64, or None."""
        drawn = self.reconstruction
        encoded = None if drawn is None else base64.b64encode(png(Image.fromarray(drawn))).decode("ascii")
        rounded = np.round(self.drive.astype(np.float64), DIGITS).tolist()
        return {"map": rounded, "deletion": self.deleted.as_json(), "reconstruction": encoded}


@dataclass(frozen=True)
class Maps:
    """Both pictures, and the Euclidean distance of their features."""

    query: Half
    hit: Half
    distance: float


def explain(row: tables.Encoder, settings: Settings, query: ByteArray, hit: ByteArray) -> Maps:
    """What makes two pictures alike to an encoder, by covering parts of one and of the other.

    Args:
        row: the encoder; its weights must be here.
        settings: the installation's.
        query, hit: uint8, shape (rows, columns) or (rows, columns, 3).

    Raises:
        cbmir.errors.NotFound: if its architecture or its weights file is not here.
        cbmir.errors.WeightsMismatch: if the file is not the one that the row records.
    """
    encoder = load_encoder(row, settings)
    prepared = [encoder.preprocessing.apply(pixels) for pixels in (query, hit)]
    features = encoder.encode(np.stack(prepared))
    drawn = _drawn(row, settings, features)
    with ThreadPoolExecutor(min(2, settings.threads or machine.cores())) as pool:
        ours, theirs = pool.map(partial(_half, encoder), prepared, features[::-1], drawn)
    return Maps(ours, theirs, float(np.linalg.norm(features[0].astype(np.float64) - features[1])))


def _half(encoder: Encoder, prepared: FloatArray, other: FloatArray, drawn: ByteArray | None) -> Half:
    found = occlusion.drive(encoder.encode, prepared, other)
    return Half(found, deletion(partial(occlusion.distances, encoder.encode, prepared, other), found), drawn)


def _drawn(row: tables.Encoder, settings: Settings, features: FloatArray) -> list[ByteArray | None]:
    decode = decoders.load(
        row.architecture, settings.weights / row.weights_file, row.weights_sha256, row.preprocessing
    )
    if decode is None:
        return [None, None]
    return [_as_bytes(picture) for picture in decode(features)]


def _as_bytes(picture: FloatArray) -> ByteArray:
    """float32 (channels, side, side) in [0, 1] to uint8 (side, side[, 3])."""
    values = np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8)
    return values[0] if len(values) == 1 else np.ascontiguousarray(values.transpose(1, 2, 0))
