"""The encoder that comes with the product; docs/model-card.md says what it was trained on and what it reaches."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from cbmir.encoders.picture_split import PictureSplit
from cbmir.errors import NotFound
from cbmir.files import write_whole

FILE, DESCRIPTION, SPLIT = "default.safetensors", "default.json", "default.split.safetensors"


def weights() -> bytes:
    """Its safetensors file.

    Raises:
        cbmir.errors.NotFound: if the installation lacks it.
    """
    return _read(FILE)


def description() -> dict[str, Any]:
    """What is recorded of it: `architecture`, `dimension`, `preprocessing`, `training`, `metrics`.

    Raises:
        cbmir.errors.NotFound: if the installation lacks it.
    """
    described: dict[str, Any] = json.loads(_read(DESCRIPTION))
    return described


def split() -> PictureSplit:
    """Which pictures it was trained on.

    Raises:
        cbmir.errors.NotFound, cbmir.errors.WeightsMismatch: if the installation lacks the file, or has another.
    """
    return PictureSplit.from_bytes(_read(SPLIT), SPLIT)


def bring(path: Path) -> None:
    """Copy the weights to where an installation keeps its own, if they belong there and are not there yet: what
    was extracted with them can then be added to when a later version brings others.

    Args:
        path: of a weights file within an installation.

    Raises:
        cbmir.errors.DiskFull: if they do not fit.
    """
    if not path.exists() and path.name == name():
        write_whole(path, weights())


def name() -> str:
    """The file's name within an installation: the encoder's id, `.safetensors`."""
    return f"{description()['id']}.safetensors"


def _read(file: str) -> bytes:
    path = files("cbmir.encoders") / file
    if not path.is_file():
        raise NotFound(f"The file {file} is not in this installation.", "Install cbmir anew.")
    return path.read_bytes()
