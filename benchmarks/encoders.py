"""Trained encoders of 48 numbers beside frozen networks of ImageNet: retrieval across patients, in one run.

    pip install -e .[bench]
    python benchmarks/encoders.py IMAGES [--data LIBRARY] [--networks FOLDER] [--cache FOLDER] [--json FILE.json]

IMAGES has a manifest.csv (path, modality, subclass, group, licence). LIBRARY is an installation in which
`cbmir train --encoder efficientnet-lite0` was run with one seed or several on the rows whose licence is open (see
docs/model-card.md). Without it the encoder that comes with cbmir is asked: the hashes of its pictures tell which of
the images are its test part. FOLDER of networks holds alexnet.safetensors, resnet50.safetensors and
dinov2.safetensors; what is missing is left out. Features are kept in the cache, as the networks take their time, of
the images that ask or are searched.

The queries of a seed are the images of its test groups, and of every tenth group of the rows that no training saw
(their licence is not open); the gallery is the images of all other groups, at most 1,000 a modality, drawn with the
seed. How precision is counted, and where the intervals of 95 % come from, stands in encoder_trials.py. The table at
the end has the project's own goals beside what was reached.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import encoder_report
import encoder_rivals
import numpy as np
import reporting
from encoder_images import Images, Kept
from encoder_report import Comparison, Figures, Goal
from encoder_trials import Figure, Trial, asked, near, needed, one_in_ten, queries, trial
from sqlalchemy import select
from sqlalchemy.orm import Session

from cbmir.encoders import efficientnet_lite, registry, shipped
from cbmir.encoders.base import Encoder
from cbmir.errors import NotFound
from cbmir.evaluation.reproduction import paper
from cbmir.services.training import lineage
from cbmir.settings import Settings
from cbmir.store import encoders, frames
from cbmir.store.session import Database
from cbmir.store.tables import Encoder as Row
from cbmir.types import FloatArray, Part

OURS = "cbmir, 48"
PACKAGES = ("onnxruntime", "torch", "numpy", "pillow")

MODALITY_AT = {"modality P@20": 0.999, "modality P@100": 0.995}
"""Above all that raw pixels of 16 x 16 reach (0.993 and 0.980): less would say nothing about an encoder."""
LEAD = 0.10
"""Above the best frozen network, which knows photographs alone: what learning from such images has to bring."""
LED = ("sub-class P@5", "macro P@5")
ALONE = {"xray P@5": 0.85, "mri P@5": 0.93}
"""Some 0.06 and 0.10 above the best frozen network as it was measured before there was an encoder. OCT has too few
images for a goal, and the tasks of an EEG are hardly visible in a plot."""


@dataclass(frozen=True)
class Training:
    """A trained encoder of an installation, or the one that comes with the product.

    Attributes:
        seed: of the training.
        groups: the keys of the groups of each part.
        row: as it is stored.
        weights: the path of its file.
    """

    seed: int
    groups: dict[Part, set[str]]
    row: Row
    weights: Path

    def encoder(self) -> Encoder:
        """Loaded, its weights checked."""
        row = self.row
        return registry.load(row.architecture, self.weights, row.weights_sha256, row.preprocessing)


def trainings(settings: Settings) -> list[Training]:
    """Those by labels in an installation, by their seeds; of a seed the newest. The encoder that comes with the
    product is none of them: an installation has no groups of its training.

    Raises:
        cbmir.errors.NotFound: if there is none.
    """
    with Database(settings.resolved_database_url).read() as session:
        rows = select(Row).where(Row.architecture == efficientnet_lite.NAME).order_by(Row.created_at)
        newest: dict[int, Training] = {}
        for row in session.scalars(rows):
            if encoders.parts(session, row.id):  # trained here, not the one that comes with the product
                seed, groups = row.training["seed"], _groups(session, row)
                newest[seed] = Training(seed, groups, row, settings.weights / row.weights_file)
        session.expunge_all()
    if not newest:
        reason = f"No training of {efficientnet_lite.NAME} has ended in this installation."
        raise NotFound(reason, "See `Training it again` in docs/model-card.md.")
    return [newest[seed] for seed in sorted(newest)]


def _groups(session: Session, row: Row) -> dict[Part, set[str]]:
    """The keys of the groups of each part; what it was trained on that it started from is not in the test."""
    keys, groups = frames.group_keys(session), {part: set[str]() for part in Part}
    for group, part in lineage.of(session, row).parts.items():
        groups[part].add(keys[group])
    return groups


def comes_with_us(images: Images) -> Training:
    """The encoder that comes with the product; the groups of each part are those that hold a picture of it.

    Raises:
        cbmir.errors.NotFound: if none of the images is of its test part.
    """
    split, groups = shipped.split(), {part: set[str]() for part in Part}
    for path, group in zip(images.paths, images.group.tolist(), strict=True):
        if part := split.part(hashlib.sha256((images.folder / path).read_bytes()).hexdigest()):
            groups[part].add(group)
    if not groups[Part.TEST]:
        reason = "None of these images is of the test part of the encoder that comes with cbmir."
        raise NotFound(reason, "Name an installation with encoders of your own by --data.")
    sha256, described = hashlib.sha256(shipped.weights()).hexdigest(), shipped.description()
    row = Row(**described, weights_file=shipped.name(), weights_sha256=sha256)
    return Training(described["training"]["seed"], groups, row, Path(str(files("cbmir.encoders") / shipped.FILE)))


def test_trial(images: Images, training: Training) -> Trial:
    """What the training kept for the test asks, and a tenth of what no training saw."""
    unseen = set(images.group[~images.is_open]) - set(images.group[images.is_open])
    return trial(images, [*training.groups[Part.TEST], *one_in_ten(unseen, training.seed)], training.seed)


def goals(ours: Figures, lead: Mapping[str, tuple[str, Figure]]) -> Iterator[Goal]:
    """The project's own goals for what is measured here."""
    for name, wanted in MODALITY_AT.items():
        yield Goal(name, wanted, ours[name])
    for k in paper.KS:
        yield Goal(
            f"modality P@{k}, the paper's", paper.TABLE_1[k]["precision"], ours[f"modality P@{k}"], above=True
        )
    for name in LED:
        yield Goal(f"{name}, less that of {lead[name][0]}", LEAD, lead[name][1])
    for name, wanted in ALONE.items():
        if name in ours:
            yield Goal(name, wanted, ours[name])


def show_paper(ours: Figures) -> None:
    """Print the paper's precision by modality and ours, on other images."""
    rows = [
        [str(k), f"{paper.TABLE_1[k]['precision']:.4f}", encoder_report.cell(ours[f"modality P@{k}"])]
        for k in paper.KS
    ]
    encoder_report.markdown(["images retrieved", "the paper's precision", "ours"], rows)


def main() -> None:
    """Run, print, and write the JSON if asked to."""
    arguments = _arguments()
    with reporting.plain_errors():
        report = _measured(arguments)
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")


def _measured(arguments: argparse.Namespace) -> dict[str, Any]:
    manifest = Images.read(arguments.images)
    found = trainings(Settings(data=arguments.data)) if arguments.data else [comes_with_us(manifest)]
    images, trials = needed(manifest, [test_trial(manifest, each) for each in found])
    kept = Kept(images, arguments.cache)
    conditions = reporting.conditions(*PACKAGES)
    print(reporting.heading(conditions), end="\n\n")
    features = [kept.of(each.row.id, each.row.weights_sha256, each.encoder()) for each in found]
    by_seed = show_trainings(images, found, features, trials)
    rivals = encoder_rivals.frozen(kept, arguments.networks)
    comparison = Comparison(
        {name: asked(images, [each] * len(trials), trials) for name, each in rivals},
        {OURS: asked(images, features, trials)},
        images.modality[queries(images, trials)],
    )
    tables = comparison.tables()
    lead = comparison.lead(tables)
    reached = list(goals(tables[OURS], lead))
    encoder_report.show(comparison, tables, lead)
    encoder_report.show_labels(comparison.ours())
    show_paper(tables[OURS])
    encoder_report.show_goals(reached)
    return {
        **conditions,
        "manifest_sha256": manifest.sha256,
        "trainings": by_seed,
        **encoder_report.as_json(tables, lead),
        "goals": [each.as_json() for each in reached],
    }


def show_trainings(
    images: Images, found: Sequence[Training], features: Sequence[FloatArray], trials: Sequence[Trial]
) -> dict[str, Any]:
    """Print and return each training with the size of its trial, and its precision@5."""
    told, rows = {}, []
    for training, vectors, one in zip(found, features, trials, strict=True):
        table = asked(images, [vectors], [one])
        figure = near(table, np.ones(len(table.values), np.bool_))
        told[training.row.id] = {"seed": training.seed, **figure.as_json()}
        sizes = [str(len(table.values)), str(len(one.gallery))]
        rows.append([training.row.id, str(training.seed), *sizes, encoder_report.cell(figure)])
    encoder_report.markdown(["encoder", "seed", "queries", "gallery", "sub-class P@5"], rows)
    return told


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("--data", type=reporting.installation, help="without it: the encoder that comes with cbmir")
    parser.add_argument("--networks", type=Path)
    parser.add_argument("--cache", type=Path, default=Path("encoders-cache"))
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
