"""The images that the benchmarks of encoders ask with, and their features, which are kept: networks take time."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from cbmir.encoders import machine
from cbmir.encoders.base import Preprocessing
from cbmir.errors import BadManifest
from cbmir.files import written_whole
from cbmir.types import FloatArray

OPEN = re.compile(r"CC0|CC BY(-SA)?(?![-\w])|ODC-BY|BSD|MIT\b")
"""How an open licence begins: one that lets anybody use and change the work, for any purpose. CC BY-NC and CC BY-ND
do not."""
COLUMNS = ("path", "modality", "subclass", "group", "licence")
AT_ONCE = 64
GREY = ("L", "1", "I;16")


class Encodes(Protocol):
    """What makes features: `cbmir.encoders.base.Encoder`, or a peer that is no part of the product."""

    preprocessing: Preprocessing

    def encode(self, inputs: FloatArray) -> FloatArray:
        """float32 (n, channels, side, side) -> float32 (n, dimension); may be called by threads."""


@dataclass(frozen=True)
class Images:
    """The manifest's columns, parallel.

    Attributes:
        folder: of the images.
        sha256: of the manifest, and of which of its rows these are.
        paths: below the folder.
        modality, label, group: of each image.
        is_open: whether its licence is an open one.
    """

    folder: Path
    sha256: str
    paths: list[str]
    modality: npt.NDArray[np.str_]
    label: npt.NDArray[np.str_]
    group: npt.NDArray[np.str_]
    is_open: npt.NDArray[np.bool_]

    @classmethod
    def read(cls, folder: Path) -> Images:
        """Those of `manifest.csv`.

        Raises:
            cbmir.errors.BadManifest: if it is not there, or lacks one of the columns.
        """
        path = folder / "manifest.csv"
        if not path.is_file():
            raise BadManifest(f"There is no {path}.", "Name the folder of the images.")
        text = path.read_bytes()
        rows = list(csv.DictReader(text.decode("utf-8-sig").splitlines()))
        if not rows or set(COLUMNS) - set(rows[0]):
            raise BadManifest(f"{path} lacks rows or one of the columns {', '.join(COLUMNS)}.", "Complete it.")
        columns = ([row[name] for row in rows] for name in ("modality", "subclass", "group"))
        modality, label, group = (np.array(column) for column in columns)
        is_open = np.array([OPEN.match(row["licence"]) is not None for row in rows])
        digest = hashlib.sha256(text).hexdigest()
        return cls(folder, digest, [row["path"] for row in rows], modality, label, group, is_open)

    def part(self, rows: npt.NDArray[np.intp]) -> Images:
        """Some of them; what is kept of these is not taken for what is kept of all."""
        digest = hashlib.sha256(self.sha256.encode() + rows.astype("<i8").tobytes()).hexdigest()
        columns = (self.modality[rows], self.label[rows], self.group[rows], self.is_open[rows])
        return Images(self.folder, digest, [self.paths[row] for row in rows], *columns)

    def features(self, encoder: Encodes) -> FloatArray:
        """Of all images, in their order: float32 (n, dimension)."""
        pieces = [self.paths[start : start + AT_ONCE] for start in range(0, len(self.paths), AT_ONCE)]
        with ThreadPoolExecutor(machine.cores()) as pool:
            return np.concatenate(
                list(pool.map(lambda piece: encoder.encode(self._inputs(encoder, piece)), pieces))
            )

    def pixels(self, side: int) -> FloatArray:
        """Raw grey pixels as features: float32 (n, side * side)."""
        return np.stack([self._grey(path, side) for path in self.paths])

    def _inputs(self, encoder: Encodes, paths: list[str]) -> FloatArray:
        return np.stack([encoder.preprocessing.apply(self.picture(path)) for path in paths])

    def picture(self, path: str) -> npt.NDArray[np.uint8]:
        """uint8 (rows, columns), or (rows, columns, 3) where it has colours."""
        with Image.open(self.folder / path) as image:
            return np.asarray(image.convert("L" if image.mode in GREY else "RGB"))

    def _grey(self, path: str, side: int) -> FloatArray:
        with Image.open(self.folder / path) as image:
            small = image.convert("L").resize((side, side), Image.Resampling.BOX)
            return np.asarray(small, np.float32).ravel()


@dataclass(frozen=True)
class Kept:
    """Features of the images, in a folder, each under what it was made of: weights, preprocessing and manifest.

    A network that was trained anew or other images never get the features of the former ones.
    """

    images: Images
    folder: Path

    def of(self, name: str, weights_sha256: str, encoder: Encodes) -> FloatArray:
        """Features by an encoder; the name tells a reader of the folder which."""
        made_of = [weights_sha256, json.dumps(encoder.preprocessing.as_json(), sort_keys=True)]
        return self._kept(name, made_of, lambda: self.images.features(encoder))

    def pixels(self, side: int) -> FloatArray:
        """Raw grey pixels as features."""
        return self._kept("pixels", [str(side)], lambda: self.images.pixels(side))

    def _kept(self, name: str, made_of: list[str], make: Callable[[], FloatArray]) -> FloatArray:
        key = hashlib.sha256(json.dumps([self.images.sha256, *made_of]).encode()).hexdigest()
        path = self.folder / f"{name}-{key[:16]}.npy"
        if not path.exists():
            made = make()
            with written_whole(path) as stream:
                np.save(stream, made)
        features: FloatArray = np.load(path)
        return features
