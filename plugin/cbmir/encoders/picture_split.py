"""Which pictures an encoder was trained on, by hashes: they tell who has a picture that it is one of them, and
nothing of a patient."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import safetensors.numpy

from cbmir.encoders.tensors import Tensors
from cbmir.types import Part

DIGITS = 16
"""Hexadecimal ones of a SHA-256 that are kept: 64 bits, of which no archive holds two alike by chance."""


@dataclass(frozen=True)
class PictureSplit:
    """The parts that pictures stood in when an encoder was trained.

    Attributes:
        data_sha256, seed: of the training, as an encoder's row records them: they tell which encoders are meant.
        part_of: the part by the first 16 digits of a SHA-256: of the file's bytes, and of the stored picture. The
            file's stays when a later conversion makes another picture of it; the picture's when the file is saved
            anew.
    """

    data_sha256: str
    seed: int
    part_of: Mapping[str, Part]

    @classmethod
    def of(cls, data_sha256: str, seed: int, pictures: Iterable[tuple[str, Part]]) -> Self:
        """The split of pictures by their SHA-256 as 64 hexadecimal digits; of one that is there twice the later."""
        return cls(data_sha256, seed, {sha256[:DIGITS]: part for sha256, part in pictures})

    def is_of(self, training: Mapping[str, Any]) -> bool:
        """Whether an encoder of which this training is recorded was trained on this split."""
        return (training.get("data_sha256"), training.get("seed")) == (self.data_sha256, self.seed)

    def part(self, sha256: str) -> Part | None:
        """Where the picture of this SHA-256 stood; None if it is none of them."""
        return self.part_of.get(sha256[:DIGITS])

    def as_bytes(self) -> bytes:
        """A safetensors file of bytes: of each part its hashes, ascending, eight bytes each; `training` as JSON.
        The same split gives the same file."""
        training = json.dumps({"data_sha256": self.data_sha256, "seed": self.seed}).encode()
        held = {"training": training, **{part.value: bytes.fromhex("".join(self._of(part))) for part in Part}}
        return safetensors.numpy.save({name: np.frombuffer(each, np.uint8) for name, each in held.items()})

    def _of(self, wanted: Part) -> list[str]:
        return sorted(digits for digits, part in self.part_of.items() if part is wanted)

    @classmethod
    def from_bytes(cls, data: bytes, name: str) -> Self:
        """Read what `as_bytes` made.

        Args:
            data: the file's content.
            name: its name, for the error.

        Raises:
            cbmir.errors.WeightsMismatch: if it is no such file, or cut short.
        """
        tensors = Tensors(data, name)
        said, part_of = json.loads(tensors.bytes_of("training")), {}
        for part in Part:
            held = tensors.bytes_of(part.value).hex()
            part_of.update({held[at : at + DIGITS]: part for at in range(0, len(held), DIGITS)})
        return cls(said["data_sha256"], said["seed"], part_of)
