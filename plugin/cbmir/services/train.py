"""Train an encoder on the stored pictures."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cbmir.encoders import machine, weights
from cbmir.encoders.base import Preprocessing
from cbmir.errors import EmptyGallery, TrainingFailed
from cbmir.files import write_whole
from cbmir.pictures.shelf import Shelf
from cbmir.progress import Progress
from cbmir.settings import Settings
from cbmir.store import encoders
from cbmir.store import training as library
from cbmir.store.session import Database
from cbmir.store.training import TrainingFrame
from cbmir.training import pictures, splits
from cbmir.training.checkpoint import Record
from cbmir.training.gradients import workers
from cbmir.training.loop import Judge, Material, Recipe, Training, no_judge
from cbmir.training.objectives import Rows
from cbmir.training.pictures import PreparedPictures
from cbmir.training.request import TrainingRequest
from cbmir.training.team import Alone, Team
from cbmir.training.trainees import Trainee, trainee
from cbmir.types import Part

__all__ = ["TrainingRequest", "train"]

JudgeMaker = Callable[[list[TrainingFrame]], Judge]
"""Makes a judge of the frames that are trained with; their places are the rows of the material."""


@dataclass(frozen=True)
class Plan:
    """What will be trained, and on what.

    Attributes:
        frames: all stored frames; their places here are the rows of everything else.
        part_of: the part of each group, by its key.
        data_sha256: of pictures, groups and labels.
        fingerprint: of data and request.
    """

    request: TrainingRequest
    trainee: Trainee
    frames: list[TrainingFrame]
    part_of: dict[str, Part]
    data_sha256: str
    fingerprint: str


@dataclass(frozen=True)
class Trained:
    """What came out: the record of the training, and its loss on the test part."""

    record: Record
    rows: dict[Part, Rows]
    unreadable: int
    test_loss: float


def train(
    database: Database,
    settings: Settings,
    request: TrainingRequest,
    progress: Progress,
    *,
    run: str | None = None,
    judge: JudgeMaker | None = None,
    team: Team | None = None,
) -> str:
    """Train an encoder on all stored pictures, and store it with the split it was trained on.

    Args:
        database: of the installation.
        settings: of the installation; `threads` 0 means all cores.
        request: what to train and how.
        progress: told after every batch; `detail` carries `history`, one row an epoch.
        run: names the checkpoint's folder, such as a job's id; by default the request and the data do. A run that
            was killed or cancelled goes on from its last epoch when it is started again.
        judge: gives figures of each epoch, which stand in the history; it changes nothing else.
        team: the processes that do the same on one database and one data folder; the first of them writes.

    Returns:
        The encoder's id: architecture and the first eight digits of the weights' SHA-256.

    Raises:
        cbmir.errors.EmptyGallery: if no picture is stored.
        cbmir.errors.NotFound: if the architecture cannot be trained.
        cbmir.errors.TrainingFailed: if there are too few patients, or the loss is no number any more.
        cbmir.errors.JobCancelled, cbmir.errors.DiskFull: if it should stop, or has to; the last checkpoint stays.
    """
    plan = _plan(database, request)
    runs = settings.training / (run or "command-line")
    folder = runs / plan.fingerprint[:32]  # the same run on other data begins anew
    count = settings.threads or machine.cores()
    machine.keep_memory()
    members = team or Alone()
    if not members.is_first:
        members.wait()  # until the first has prepared the pictures
    prepared = _prepare(plan, folder, Shelf(settings.pictures), count, progress)
    if members.is_first:
        members.wait()
    with workers(count) as pool:
        trained = _fit(plan, folder, prepared, pool, progress, judge(plan.frames) if judge else no_judge, members)
    data = weights.to_bytes(trained.record.best)
    if members.is_first:
        _store(database, settings, plan, trained, data)
        shutil.rmtree(runs if run else folder, ignore_errors=True)
    members.wait()
    return _id(plan, data)


def _plan(database: Database, request: TrainingRequest) -> Plan:
    kind = trainee(request.architecture)
    with database.read() as session:
        frames = library.frames(session)
    if not frames:
        raise EmptyGallery("There is no picture to train on.", "Ingest some first: `cbmir ingest`.")
    strata = splits.strata((frame.group, frame.label) for frame in frames)
    data = data_sha256(frames)
    fingerprint = _sha256([data, request.as_json()])
    return Plan(request, kind, frames, splits.assign(strata, request.seed), data, fingerprint)


def data_sha256(frames: list[TrainingFrame]) -> str:
    """SHA-256 of pictures, groups and labels, as it is recorded with an encoder."""
    return _sha256([[frame.picture, frame.group, frame.label] for frame in frames])


def _sha256(document: object) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _prepare(plan: Plan, folder: Path, shelf: Shelf, count: int, progress: Progress) -> PreparedPictures:
    keys = [frame.picture for frame in plan.frames]
    return pictures.prepare(folder, keys, shelf.get, Preprocessing(plan.request.side), count, progress)


def _rows(plan: Plan, prepared: PreparedPictures) -> dict[Part, Rows]:
    part_of = np.array([plan.part_of[frame.group].value for frame in plan.frames])
    rows = {part: pictures.usable(np.flatnonzero(part_of == part.value), prepared) for part in Part}
    for part, chosen in rows.items():
        if not len(chosen):
            raise TrainingFailed(
                f"No picture of the part to {_PURPOSE[part]} can be read from the pictures folder.",
                "Restore the folder `pictures` from a backup, or ingest the images again.",
            )
    return rows


_PURPOSE = {Part.TRAIN: "train on", Part.VALIDATION: "validate with", Part.TEST: "test with"}


def _fit(
    plan: Plan,
    folder: Path,
    prepared: PreparedPictures,
    pool: ThreadPoolExecutor,
    progress: Progress,
    judge: Judge,
    team: Team,
) -> Trained:
    rows, labels = _rows(plan, prepared), [frame.label for frame in plan.frames]
    network, objective = plan.trainee.make(plan.request, labels), plan.trainee.objective(labels)
    recipe = Recipe(plan.request.epochs, plan.request.batch_size, plan.request.seed)
    material = Material(prepared.values, rows[Part.TRAIN], rows[Part.VALIDATION])
    training = Training(network, material, recipe, folder, pool, objective, judge, team)
    record = training.run(progress)
    return Trained(record, rows, len(prepared.unreadable), training.loss(record.best, rows[Part.TEST]))


def _id(plan: Plan, data: bytes) -> str:
    return f"{plan.request.architecture}-{hashlib.sha256(data).hexdigest()[:8]}"


def _store(database: Database, settings: Settings, plan: Plan, trained: Trained, data: bytes) -> None:
    encoder_id = _id(plan, data)
    file_name = f"{encoder_id}.safetensors"
    write_whole(settings.weights / file_name, data)
    with database.write() as session:
        encoders.add(
            session,
            id=encoder_id,
            architecture=plan.request.architecture,
            weights_file=file_name,
            weights_sha256=hashlib.sha256(data).hexdigest(),
            dimension=plan.trainee.dimension,
            preprocessing=Preprocessing(plan.request.side).as_json(),
            training=_how(plan, trained),
            metrics=_metrics(trained),
        )
        alive = library.group_ids(session)  # a patient may have been deleted while we trained
        parts = {frame.group_id: plan.part_of[frame.group] for frame in plan.frames if frame.group_id in alive}
        encoders.set_parts(session, encoder_id, parts)


def _how(plan: Plan, trained: Trained) -> dict[str, Any]:
    """What is needed to train it again, and to judge it."""
    recipe = Recipe()
    return {
        **plan.request.as_json(),
        "loss": plan.trainee.loss,
        "optimiser": {"name": "adam", "learning_rate": recipe.learning_rate, "decay": recipe.decay},
        "data_sha256": plan.data_sha256,
        "images": {part.value: len(rows) for part, rows in trained.rows.items()},
        "groups": dict(Counter(part.value for part in plan.part_of.values())),
        "pipelines": dict(sorted(Counter(frame.pipeline for frame in plan.frames).items())),
        "unreadable": trained.unreadable,
        "torch": torch.__version__,
    }


def _metrics(trained: Trained) -> dict[str, Any]:
    record = trained.record
    return {
        "history": record.history,
        "best_epoch": record.best_epoch,
        "validation_loss": record.history[record.best_epoch - 1]["validation_loss"],
        "test_loss": trained.test_loss,
    }
