"""A file of weights as an installation keeps it, under a name that tells its content. No torch here."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from cbmir.files import write_whole


class Columns(TypedDict):
    """Columns of `cbmir.store.tables.Encoder`."""

    id: str
    weights_file: str
    weights_sha256: str


@dataclass(frozen=True)
class WeightsFile:
    """Weights under their name.

    Attributes:
        encoder_id: what they are called, and the first eight digits of their SHA-256.
        sha256: of the content, 64 hexadecimal digits.
        data: the content, safetensors.
    """

    encoder_id: str
    sha256: str
    data: bytes

    @classmethod
    def of(cls, name: str, data: bytes) -> WeightsFile:
        """Weights of an encoder that is called so."""
        sha256 = hashlib.sha256(data).hexdigest()
        return cls(f"{name}-{sha256[:8]}", sha256, data)

    @property
    def name(self) -> str:
        """The file's, without its folder."""
        return f"{self.encoder_id}.safetensors"

    def write(self, folder: Path) -> Path:
        """Put it into a folder; its path there.

        Raises:
            cbmir.errors.DiskFull: if it does not fit.
        """
        write_whole(folder / self.name, self.data)
        return folder / self.name

    def columns(self) -> Columns:
        """What an encoder's row records of it."""
        return {"id": self.encoder_id, "weights_file": self.name, "weights_sha256": self.sha256}
