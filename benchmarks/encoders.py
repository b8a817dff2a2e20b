"""Trained encoders of 48 numbers beside frozen networks of ImageNet: retrieval across patients, in one run.

    pip install -e .[efficientnet]
    python benchmarks/encoders.py IMAGES --data LIBRARY [--networks FOLDER] [--cache FOLDER] [--json encoders.json]

IMAGES has a manifest.csv (path, modality, subclass, group, licence). LIBRARY is an installation in which
`cbmir train --encoder efficientnet-lite0` was run with one seed or several on the rows whose licence is open (see
docs/model-card.md). FOLDER of networks holds alexnet.safetensors, resnet50.safetensors and dinov2.safetensors; what
is missing is left out. Features are kept in the cache, as the networks take their time.

The queries of a seed are the images of its test groups, and of every tenth group of the rows that no training saw
(their licence is not open); the gallery is the images of all other groups, at most 1,000 a modality, drawn with the
seed. All networks get the same queries and galleries. precision@k is the share of the k nearest (Euclidean) with
the query's label, a mean over queries whose label another group has; macro is the mean over labels. Intervals of
95 % come from drawing whole groups anew, over the queries of all seeds together.
"""

from __future__ import annotations

import argparse
import csv
import json
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from dinov2 import Dinov2
from PIL import Image
from sqlalchemy import select

from cbmir.encoders import efficientnet_lite, efficientnet_weights, photographs, registry
from cbmir.encoders.base import Encoder, Preprocessing
from cbmir.encoders.rivals import alexnet, resnet50
from cbmir.evaluation import bootstrap
from cbmir.services.training import lineage
from cbmir.settings import Settings
from cbmir.store import frames
from cbmir.store.session import Database
from cbmir.store.tables import Encoder as Row
from cbmir.types import Part

DEPTHS = (1, 5, 20, 100)
LARGEST = 1000
"""Images of one modality in a gallery."""
EVERY = 10
OPEN = ("CC0", "CC BY", "ODC-BY", "BSD", "MIT")
AT_ONCE = 64

Matrix = npt.NDArray[np.float64]
Encodes = Encoder | Dinov2


@dataclass(frozen=True)
class Images:
    """The manifest's columns, parallel."""

    folder: Path
    paths: list[str]
    modality: npt.NDArray[np.str_]
    label: npt.NDArray[np.str_]
    group: npt.NDArray[np.str_]
    is_open: npt.NDArray[np.bool_]

    @classmethod
    def read(cls, folder: Path) -> Images:
        with (folder / "manifest.csv").open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        columns = ([row[name] for row in rows] for name in ("modality", "subclass", "group"))
        modality, label, group = (np.array(column) for column in columns)
        is_open = np.array([row["licence"].startswith(OPEN) for row in rows])
        return cls(folder, [row["path"] for row in rows], modality, label, group, is_open)

    def features(self, encoder: Encodes) -> Matrix:
        """Of all images, in their order."""
        found = []
        for start in range(0, len(self.paths), AT_ONCE):
            pictures = (Image.open(self.folder / path) for path in self.paths[start : start + AT_ONCE])
            inputs = [encoder.preprocessing.apply(np.asarray(each.convert(_mode(each)))) for each in pictures]
            found.append(encoder.encode(np.stack(inputs)))
        return np.concatenate(found).astype(np.float64)

    def pixels(self, side: int) -> Matrix:
        """Raw grey pixels as features."""
        grey = (Image.open(self.folder / path).convert("L") for path in self.paths)
        small = [np.asarray(each.resize((side, side), Image.Resampling.BOX), np.float64).ravel() for each in grey]
        return np.stack(small)


def _mode(image: Image.Image) -> str:
    return "L" if image.mode in ("L", "1", "I;16") else "RGB"


@dataclass(frozen=True)
class Trial:
    """Rows that ask, and rows that are searched."""

    queries: npt.NDArray[np.intp]
    gallery: npt.NDArray[np.intp]


def trial(images: Images, tested: set[str], seed: int) -> Trial:
    """The queries and the gallery of a seed whose training kept these groups for the test."""
    unseen = sorted(set(images.group[~images.is_open]) - set(images.group[images.is_open]))
    asking = np.isin(images.group, [*tested, *unseen[seed % EVERY :: EVERY]])
    chance, searched = np.random.default_rng(seed), []
    for modality in np.unique(images.modality):
        rows = np.flatnonzero(~asking & (images.modality == modality))
        searched.append(np.sort(chance.permutation(rows)[:LARGEST]))
    return Trial(np.flatnonzero(asking), np.concatenate(searched))


def ranked(features: Matrix, asked: Trial) -> npt.NDArray[np.intp]:
    """The rows of the nearest of the gallery, the nearest first."""
    queries, gallery = features[asked.queries], features[asked.gallery]
    squares = (queries**2).sum(1)[:, None] + (gallery**2).sum(1) - 2 * queries @ gallery.T
    return asked.gallery[np.argsort(squares, axis=1, kind="stable")[:, : max(DEPTHS)]]


@dataclass(frozen=True)
class Judged:
    """Of each query that can be answered: its label's and its modality's precision at each depth."""

    rows: npt.NDArray[np.intp]
    label: Matrix
    modality: Matrix


def judged(images: Images, features: Matrix, asked: Trial) -> Judged:
    nearest = ranked(features, asked)
    can = np.isin(images.label[asked.queries], images.label[asked.gallery])
    rows, nearest = asked.queries[can], nearest[can]

    def precision(names: npt.NDArray[np.str_]) -> Matrix:
        right = names[nearest] == names[rows][:, None]
        return np.stack([right[:, :depth].mean(1) for depth in DEPTHS], axis=1)

    return Judged(rows, precision(images.label), precision(images.modality))


def summary(images: Images, seeds: list[Judged]) -> dict[str, float | list[float]]:
    rows = np.concatenate([each.rows for each in seeds])
    label = np.concatenate([each.label for each in seeds])
    told: dict[str, float | list[float]] = {}
    for place, depth in enumerate(DEPTHS):
        told[f"sub-class P@{depth}"] = float(np.mean([each.label[:, place].mean() for each in seeds]))
        told[f"modality P@{depth}"] = float(np.mean([each.modality[:, place].mean() for each in seeds]))
    five = label[:, DEPTHS.index(5)]
    told["macro P@5"] = float(
        np.mean([five[images.label[rows] == name].mean() for name in np.unique(images.label[rows])])
    )
    for name in np.unique(images.modality):
        told[f"{name} P@5"] = float(five[images.modality[rows] == name].mean())
    means = next(bootstrap.resampled(five[:, None], _codes(images.group[rows]), np.ones((1, len(rows)), np.bool_)))
    told["sub-class P@5, 95 %"] = bootstrap.interval(means)[0].tolist()
    told["sub-class P@5, by seed"] = [float(each.label[:, DEPTHS.index(5)].mean()) for each in seeds]
    return told


def _codes(groups: npt.NDArray[np.str_]) -> npt.NDArray[np.int64]:
    return np.unique(groups, return_inverse=True)[1].astype(np.int64)


def frozen(images: Images, networks: Path | None) -> Iterator[tuple[str, Callable[[], Matrix]]]:
    """Networks that never saw these images, and their features."""
    yield "raw pixels 16 x 16", lambda: images.pixels(16)
    wanted = Preprocessing(224, 3, mean=photographs.MEAN, std=photographs.DEVIATION)
    weights = efficientnet_weights.installed()
    lite = efficientnet_lite.load(weights, "efficientnet-lite0", wanted)
    yield "EfficientNet-Lite0, 1280 numbers", lambda: images.features(lite)
    for name, load in (("alexnet", alexnet.load), ("resnet50", resnet50.load)):
        path = networks / f"{name}.safetensors" if networks else None
        if path and path.exists():
            network = load(path.read_bytes(), name, Preprocessing(224, 3))
            yield f"{name}, {network.dimension} numbers", lambda network=network: images.features(network)  # type: ignore[misc]
    if networks and (path := networks / "dinov2.safetensors").exists():
        yield "DINOv2 ViT-S/14, 384 numbers", lambda: images.features(Dinov2(path))


def trained(data: Path) -> Iterator[tuple[int, set[str], Encoder]]:
    """The seed, the test groups and the encoder of each training in an installation; of a seed the newest. What an
    encoder was trained on that it started from is not in the test."""
    settings = Settings(data=data)
    with Database(settings.resolved_database_url).read() as session:
        rows = session.scalars(
            select(Row).where(Row.architecture == efficientnet_lite.NAME).order_by(Row.created_at)
        )
        newest = {row.training["seed"]: row for row in rows if "seed" in row.training}
        for seed, row in sorted(newest.items()):
            keys, parts = frames.group_keys(session), lineage.of(session, row).parts
            tested = {keys[group] for group, part in parts.items() if part is Part.TEST}
            weights = settings.weights / row.weights_file
            encoder = registry.load(row.architecture, weights, row.weights_sha256, row.preprocessing)
            yield seed, tested, encoder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--networks", type=Path)
    parser.add_argument("--cache", type=Path, default=Path("encoders-cache"))
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    asked.cache.mkdir(parents=True, exist_ok=True)
    images = Images.read(asked.images)

    def kept(name: str, make: Callable[[], Matrix]) -> Matrix:
        path = asked.cache / f"{_file(name)}.npy"
        if not path.exists():
            np.save(path, make())
        features: Matrix = np.load(path)
        return features

    encoders = list(trained(asked.data))
    trials = [trial(images, tested, seed) for seed, tested, _ in encoders]
    table = {}
    for name, make in frozen(images, asked.networks):
        features = kept(name, make)
        table[name] = summary(images, [judged(images, features, each) for each in trials])
    ours = [kept(f"seed {seed}", lambda encoder=encoder: images.features(encoder)) for seed, _, encoder in encoders]  # type: ignore[misc]
    pairs = zip(ours, trials, strict=True)
    table["cbmir, 48 numbers"] = summary(images, [judged(images, features, each) for features, each in pairs])
    _print(table, [(len(each.queries), len(each.gallery)) for each in trials])
    if asked.json:
        told = {"machine": platform.processor(), "python": platform.python_version(), "table": table}
        asked.json.write_text(json.dumps(told, indent=1) + "\n")


def _file(name: str) -> str:
    return name.replace(" ", "-").replace(",", "").replace("/", "-")


def _print(table: dict[str, dict[str, float | list[float]]], sizes: list[tuple[int, int]]) -> None:
    print("queries and gallery of each seed:", ", ".join(f"{queries} and {gallery}" for queries, gallery in sizes))
    for name, told in table.items():
        print(name)
        for measure, value in told.items():
            shown = ", ".join(f"{each:.3f}" for each in value) if isinstance(value, list) else f"{value:.3f}"
            print(f"  {measure:24} {shown}")


if __name__ == "__main__":
    main()
