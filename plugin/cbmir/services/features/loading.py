"""The encoder that a row of the database stands for. No torch by itself."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

from cbmir.encoders import registry, shipped
from cbmir.encoders.base import Encoder
from cbmir.errors import NotFound
from cbmir.settings import Settings
from cbmir.store import tables


def load_encoder(row: tables.Encoder, settings: Settings) -> Encoder:
    """The encoder of a row, loaded and checked once in a process.

    Raises:
        cbmir.errors.NotFound: if its architecture or its weights file is not here.
        cbmir.errors.WeightsMismatch: if the file is not the one that the row records.
    """
    preprocessing = json.dumps(row.preprocessing, sort_keys=True)
    return _loaded(row.architecture, weights_of(row, settings), row.weights_sha256, preprocessing)


def weights_of(row: tables.Encoder, settings: Settings) -> Path:
    """Where the weights of a row's encoder should be.

    Raises:
        cbmir.errors.NotFound: if it was imported without them.
    """
    if not row.weights_file or Path(row.weights_file).name != row.weights_file:
        raise NotFound(
            f"The encoder {row.id} was imported without its weights.",
            f"Put {row.id}.safetensors into the folder `weights` and import again, or train an encoder here.",
        )
    shipped.bring(settings.weights / row.weights_file)
    return settings.weights / row.weights_file


@lru_cache(maxsize=4)
def _loaded(architecture: str, weights: Path, sha256: str, preprocessing: str) -> Encoder:
    return registry.load(architecture, weights, sha256, json.loads(preprocessing))
