"""The architectures that can be loaded: those of this package, and those of entry points. No torch here.

An architecture is a function `load(weights: bytes, name: str, preprocessing: Preprocessing) -> Encoder`; another
distribution adds one by an entry point of the group `cbmir.encoders`, named like the architecture.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, cast

from cbmir.encoders.base import Encoder, Preprocessing
from cbmir.errors import NotFound, WeightsMismatch

GROUP = "cbmir.encoders"
OWN = (
    EntryPoint("cnn-autoencoder", "cbmir.encoders.cnn_encoder:load", GROUP),
    EntryPoint("efficientnet-lite0", "cbmir.encoders.efficientnet_lite:load", GROUP),
    EntryPoint("onnx", "cbmir.encoders.onnx_file:load", GROUP),
    EntryPoint("alexnet", "cbmir.encoders.rivals.alexnet:load", GROUP),
    EntryPoint("dcnn", "cbmir.encoders.rivals.dcnn:load", GROUP),
    EntryPoint("resnet50", "cbmir.encoders.rivals.resnet50:load", GROUP),
    EntryPoint("vgg16", "cbmir.encoders.rivals.vgg16:load", GROUP),
)

Loader = Callable[[bytes, str, Preprocessing], Encoder]


def architectures() -> tuple[str, ...]:
    """Names of all architectures, in alphabetical order."""
    return tuple(sorted(_table()))


def load(architecture: str, weights: Path, sha256: str, preprocessing: Mapping[str, Any]) -> Encoder:
    """A trained encoder, its weights checked before they are used.

    Args:
        architecture: one of `architectures()`.
        weights: the safetensors file.
        sha256: what the file's SHA-256 must be, 64 hexadecimal digits.
        preprocessing: as `Preprocessing.as_json` recorded it.

    Raises:
        cbmir.errors.NotFound: if the architecture or the file is not here.
        cbmir.errors.WeightsMismatch: if the file's hash, its tensors' shapes or the preprocessing do not fit.
    """
    return _loader(architecture)(read(weights, sha256), weights.name, Preprocessing.from_json(preprocessing))


def read(weights: Path, sha256: str) -> bytes:
    """The content of a safetensors file, checked.

    Args:
        weights: the file.
        sha256: what its SHA-256 must be, 64 hexadecimal digits.

    Raises:
        cbmir.errors.NotFound: if the file is not here.
        cbmir.errors.WeightsMismatch: if its hash is another.
    """
    try:
        data = weights.read_bytes()
    except (FileNotFoundError, IsADirectoryError) as error:
        raise NotFound(
            f"The weights file {weights.name} is not in this installation.",
            "Copy it into the folder `weights` of the data folder, or train an encoder here.",
        ) from error
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise WeightsMismatch(
            f"The weights file {weights.name} has the SHA-256 {found[:12]}…, not {sha256[:12]}… as recorded.",
            "Restore it from a backup, or train the encoder again.",
        )
    return data


def of_bytes(architecture: str, data: bytes, name: str, preprocessing: Mapping[str, Any]) -> Encoder:
    """An encoder of weights that are not kept yet.

    Args:
        architecture: one of `architectures()`.
        data: the content of a safetensors file.
        name: what the user calls it, for the errors.
        preprocessing: as `Preprocessing.as_json` gives it.

    Raises:
        cbmir.errors.NotFound: if the architecture is not here.
        cbmir.errors.WeightsMismatch: if the tensors' shapes or the preprocessing do not fit.
    """
    return _loader(architecture)(data, name, Preprocessing.from_json(preprocessing))


def _table() -> dict[str, EntryPoint]:
    return {each.name: each for each in (*entry_points(group=GROUP), *OWN)}


def _loader(architecture: str) -> Loader:
    try:
        return cast(Loader, _table()[architecture].load())
    except KeyError as error:
        raise NotFound(
            f"There is no architecture {architecture!r}.", f"Known are: {', '.join(architectures())}."
        ) from error
