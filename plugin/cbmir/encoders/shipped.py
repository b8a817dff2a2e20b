"""The encoder that comes with the product; docs/model-card.md says what it was trained on and what it reaches."""

from __future__ import annotations

from importlib.resources import files

from cbmir.errors import NotFound

FILE = "default.safetensors"


def weights() -> bytes:
    """Its safetensors file.

    Raises:
        cbmir.errors.NotFound: if the installation lacks it.
    """
    path = files("cbmir.encoders") / FILE
    if not path.is_file():
        raise NotFound(f"The file {FILE} is not in this installation.", "Install cbmir anew.")
    return path.read_bytes()
