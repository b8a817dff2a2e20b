"""Sources that an encoder was never trained on: ours, as it is and adapted to them, beside frozen networks.

    pip install -e .[bench]
    python benchmarks/unseen_sources.py IMAGES --data FOLDER [--left-out LABEL ...] [--draws 3] [--networks FOLDER]
        [--cache FOLDER] [--epochs 6] [--side 128] [--batch-size 64] [--seed 0] [--json unseen.json]

IMAGES has a manifest.csv (path, modality, subclass, group, licence). Where FOLDER holds no trained encoder yet, a
library is made there of the images whose licence is open, without those of the labels left out (as it stands: all
brain MR of the tumour collection), and an encoder is trained on it; what is cut off goes on where it was. Where it
holds one, that one is taken, if none of these labels was trained on.

In each draw a tenth of the groups left out asks; the gallery is the images of all other groups, the rest of those
left out among them, at most 1,000 a modality, drawn with the number of the draw. How precision is counted, and
where the intervals of 95 % come from, stands in encoder_trials.py. The trained ending alone is the encoder without
its second ending: 48 principal components, over the pictures that were trained on, of what the training made. The
adapted encoder has its components from the pictures that were left out, without their labels, as `cbmir encoders
adapt` takes them from an archive.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

import encoder_report
import encoder_rivals
import numpy as np
import numpy.typing as npt
import reporting
import safetensors.numpy
from encoder_images import Images, Kept
from encoder_report import Comparison, Goal
from encoder_trials import asked, one_in_ten, queries, trial
from encoders import OURS, PACKAGES, Training, trainings

import cbmir_migrations
from cbmir.cli.bar import Bar
from cbmir.encoders import efficientnet_lite
from cbmir.encoders.base import Preprocessing
from cbmir.encoders.components import DIMENSION, WHITENING, Views
from cbmir.encoders.reduction import principal
from cbmir.errors import BadRequest, NotFound
from cbmir.services.ingestion.ingest import ingest
from cbmir.services.training.train import TrainingRequest, train
from cbmir.settings import Settings
from cbmir.store.session import Database
from cbmir.types import FloatArray, Part

LEFT_OUT = ("brain_glioma", "brain_meningioma", "brain_no_tumor", "brain_pituitary_tumor")
"""The brain MR of the tumour collection."""
ALONE = f"its trained ending alone, {DIMENSION}"
ADAPTED = f"adapted to what was left out, {DIMENSION}"
NOT_BELOW = 0.0
"""Below the best frozen network: an archive holds what no training saw, and must not lose by ours."""


def main() -> None:
    """Train if need be, ask, print, and write the JSON if asked to."""
    arguments = _arguments()
    with reporting.plain_errors():
        images = Images.read(arguments.images)
        left_out = np.isin(images.label, arguments.left_out)
        report = measured(arguments, images, left_out, _training(arguments, images, left_out))
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")


def _training(arguments: argparse.Namespace, images: Images, left_out: npt.NDArray[np.bool_]) -> Training:
    """The one that the installation holds, the first by its seed, or else a new one.

    Raises:
        cbmir.errors.NotFound: if no image of IMAGES has a label that is to be left out.
        cbmir.errors.BadRequest: if the one that is there was trained on one of them.
    """
    if not left_out.any():
        raise NotFound(f"No image has one of the labels {', '.join(arguments.left_out)}.", "See the manifest.")
    settings = Settings(data=arguments.data)
    settings.data.mkdir(parents=True, exist_ok=True)
    cbmir_migrations.upgrade(settings.resolved_database_url)
    try:
        training = trainings(settings)[0]
    except NotFound:
        _train(arguments, images, ~left_out & images.is_open, settings)
        training = trainings(settings)[0]
    if seen := sorted(set(arguments.left_out) & set(training.row.training["labels"])):
        raise BadRequest(f"{training.row.id} was trained on {', '.join(seen)}.", "Name another folder by --data.")
    return training


def _train(
    arguments: argparse.Namespace, images: Images, wanted: npt.NDArray[np.bool_], settings: Settings
) -> None:
    """Make a library of these images, and train on it."""
    names = ("epochs", "side", "batch_size", "seed", "start")
    request = TrainingRequest.usual(efficientnet_lite.NAME, **{name: getattr(arguments, name) for name in names})
    database = Database(settings.resolved_database_url)
    with tempfile.TemporaryDirectory() as folder, Bar("ingest") as bar:
        manifest = Path(folder) / "manifest.csv"
        paths = _listed(images, np.flatnonzero(wanted), manifest)
        ingest(database, settings, paths, str(manifest), bar)
    with Bar("train") as bar:
        train(database, settings, request, bar)
    database.dispose()


def _listed(images: Images, rows: npt.NDArray[np.intp], manifest: Path) -> list[Path]:
    """The images of these rows, of which a manifest is written."""
    paths = [(images.folder / images.paths[row]).resolve() for row in rows]
    with manifest.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["path", "modality", "subclass", "group"])
        for path, row in zip(paths, rows, strict=True):
            writer.writerow([path, images.modality[row], images.label[row], images.group[row]])
    return paths


def measured(
    arguments: argparse.Namespace, images: Images, left_out: npt.NDArray[np.bool_], training: Training
) -> dict[str, Any]:
    """Ask every network the same, print, and return what was printed."""
    kept = Kept(images, arguments.cache)
    groups = set(images.group[left_out])
    trials = [trial(images, one_in_ten(groups, draw), draw) for draw in range(arguments.draws)]
    ours = {
        OURS: kept.of(training.row.id, training.row.weights_sha256, training.encoder()),
        ADAPTED: _adapted(kept, training, left_out),
        ALONE: _trained_ending(kept, training, left_out),
    }
    found = {name: asked(images, [each] * len(trials), trials) for name, each in ours.items()}
    frozen = {
        name: asked(images, [each] * len(trials), trials)
        for name, each in encoder_rivals.frozen(kept, arguments.networks)
    }
    comparison = Comparison(frozen, found, images.modality[queries(images, trials)])
    tables = comparison.tables()
    lead = comparison.lead(tables)
    best, ahead = lead["sub-class P@5"]
    goal = Goal(f"sub-class P@5 of what was never trained on, less that of {best}", NOT_BELOW, ahead)
    conditions = reporting.conditions(*PACKAGES)
    print(reporting.heading(conditions))
    print(f"{training.row.id}, {training.row.training['epochs']} epochs, never saw {', '.join(arguments.left_out)}")
    sizes = (f"{len(each.queries)} and {len(each.gallery)}" for each in trials)
    print(f"queries and gallery of each draw: {', '.join(sizes)}\n")
    encoder_report.show(comparison, tables, lead)
    encoder_report.show_labels(comparison.ours())
    encoder_report.show_goals([goal])
    return {
        **conditions,
        "encoder": training.row.id,
        "manifest_sha256": images.sha256,
        "left_out": arguments.left_out,
        **encoder_report.as_json(tables, lead),
        "goals": [goal.as_json()],
    }


def _adapted(kept: Kept, training: Training, pictures: npt.NDArray[np.bool_]) -> FloatArray:
    """The features that an encoder of this training would give to all images, once adapted to some of them."""
    row, data = training.row, training.weights.read_bytes()
    views = Views.of(data, row.id, Preprocessing.from_json(row.preprocessing))
    seen = kept.of(f"{row.id}-{'-'.join(views.sizes)}", row.weights_sha256, views.network)
    weights, bias = views.components(seen[pictures])
    return np.asarray(seen @ np.hstack([weights[name] for name in views.sizes]).T + bias)


def _trained_ending(kept: Kept, training: Training, left_out: npt.NDArray[np.bool_]) -> FloatArray:
    """The features that an encoder of this training's first ending alone would give to all images."""
    images, row = kept.images, training.row
    tensors = safetensors.numpy.load(training.weights.read_bytes())
    aside = ("reduce.", efficientnet_lite.BESIDE)
    data = safetensors.numpy.save({name: each for name, each in tensors.items() if not name.startswith(aside)})
    encoder = efficientnet_lite.load(data, row.id, Preprocessing.from_json(row.preprocessing))
    made = encoder_rivals.unit_length(kept.of(f"{row.id}-ending", hashlib.sha256(data).hexdigest(), encoder))
    seen = np.isin(images.group, list(training.groups[Part.TRAIN])) & images.is_open & ~left_out
    fewer = principal(made[seen], DIMENSION, whiten=WHITENING, at_most=True)
    return np.asarray(made @ fewer.weight.T + fewer.bias)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--left-out", nargs="+", default=list(LEFT_OUT), metavar="LABEL")
    parser.add_argument("--draws", type=reporting.positive, default=3)
    parser.add_argument("--networks", type=Path)
    parser.add_argument("--cache", type=Path, default=Path("encoders-cache"))
    for name in ("epochs", "side", "batch-size"):
        parser.add_argument(f"--{name}", type=reporting.positive, help="of a new training")
    parser.add_argument("--seed", type=int, default=0, help="of a new training")
    parser.add_argument("--start", default="photographs", help="of a new training")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
