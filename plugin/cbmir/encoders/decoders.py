"""Networks that draw a picture again from its feature, for the architectures that have one. No torch by itself.

A decoder is made by a function `load(weights: bytes, name: str, preprocessing: Preprocessing) -> Decoder`; another
distribution adds one by an entry point of the group `cbmir.decoders`, named like the architecture.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, cast

from cbmir.encoders.base import Preprocessing
from cbmir.errors import NotFound, WeightsMismatch
from cbmir.types import FloatArray

GROUP = "cbmir.decoders"
OWN = (EntryPoint("cnn-autoencoder", "cbmir.encoders.cnn_decoder:load", GROUP),)

Decoder = Callable[[FloatArray], FloatArray]
"""Features, float32 (n, d), to pictures, float32 (n, channels, side, side), range [0, 1]."""
Loader = Callable[[bytes, str, Preprocessing], Decoder]


def load(architecture: str, weights: Path, sha256: str, preprocessing: Mapping[str, Any]) -> Decoder | None:
    """The decoder of a trained encoder; None where its architecture has none, or what it needs is not installed.

    Raises:
        cbmir.errors.NotFound: if the weights file is not here.
        cbmir.errors.WeightsMismatch: if it is not the recorded one, or does not fit.
    """
    loader = _loader(architecture)
    if loader is None:
        return None
    return loader(_checked(weights, sha256), weights.name, Preprocessing.from_json(preprocessing))


def _loader(architecture: str) -> Loader | None:
    table = {each.name: each for each in (*entry_points(group=GROUP), *OWN)}
    if architecture not in table:
        return None
    try:
        return cast(Loader, table[architecture].load())
    except ModuleNotFoundError:
        return None  # a worker that only extracts and retrieves may go without torch


def _checked(weights: Path, sha256: str) -> bytes:
    try:
        data = weights.read_bytes()
    except FileNotFoundError as error:
        raise NotFound(f"The weights file {weights.name} is not in this installation.") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise WeightsMismatch(
            f"The weights file {weights.name} is not the recorded one.", "Restore it from a backup."
        )
    return data
