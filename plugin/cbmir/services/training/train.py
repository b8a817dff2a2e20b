"""Train an encoder on the stored pictures."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch

from cbmir.encoders import efficientnet_lite, machine, weights
from cbmir.encoders.base import Preprocessing
from cbmir.encoders.weights_file import WeightsFile
from cbmir.errors import BadRequest, NotFound
from cbmir.pictures.shelf import Shelf
from cbmir.progress import Progress
from cbmir.services.training import by_labels, by_pieces
from cbmir.services.training.plan import JudgeMaker, Plan, Trained, Workshop, plan
from cbmir.settings import Settings
from cbmir.store import encoders
from cbmir.store import training as library
from cbmir.store.session import Database
from cbmir.training import pictures
from cbmir.training.pictures import PreparedPictures
from cbmir.training.request import TrainingRequest
from cbmir.training.team import Alone, Team
from cbmir.training.trainees import TRAINEES

__all__ = ["TrainingRequest", "train"]

Fitter = Callable[[Plan, Workshop, PreparedPictures, Progress], Trained]
FITTERS: Mapping[str, Fitter] = MappingProxyType(
    dict.fromkeys(TRAINEES, by_pieces.fit) | {efficientnet_lite.NAME: by_labels.fit}
)
"""What can be trained, and what trains it."""


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
        cbmir.errors.NotFound: if the architecture cannot be trained, or there is no encoder to start from.
        cbmir.errors.BadRequest: if there is a team, and the architecture is trained by one process alone, or the
            encoder to start from is of another architecture.
        cbmir.errors.TrainingFailed: if there are too few patients or labels, the encoder to start from has seen
            too many of them, or the loss is no number any more.
        cbmir.errors.JobCancelled, cbmir.errors.DiskFull: if it should stop, or has to; the last checkpoint stays.
    """
    fit = _fitter(request.architecture)
    planned = plan(database, request)
    runs = settings.training / (run or "command-line")
    folder = runs / planned.fingerprint[:32]  # the same run on other data begins anew
    workshop = Workshop(settings, folder, settings.threads or machine.cores(), judge, team or Alone())
    _refuse_idle_team(request.architecture, workshop.team)
    machine.keep_memory()
    trained = fit(planned, workshop, _prepare(planned, workshop, progress), progress)
    file = WeightsFile.of(request.architecture, weights.to_bytes(trained.record.best))
    if workshop.team.is_first:
        _store(database, settings, planned, trained, file)
        shutil.rmtree(runs if run else folder, ignore_errors=True)
    workshop.team.wait()
    return file.encoder_id


def _refuse_idle_team(architecture: str, team: Team) -> None:
    if architecture not in TRAINEES and not isinstance(team, Alone):
        raise BadRequest(
            f"{architecture} is trained by one process; several would all do the same.",
            "Start it without torchrun.",
        )


def _fitter(architecture: str) -> Fitter:
    if architecture not in FITTERS:
        raise NotFound(
            f"{architecture!r} is no architecture that can be trained here.", f"Choose {' or '.join(FITTERS)}."
        )
    return FITTERS[architecture]


def _prepare(plan: Plan, workshop: Workshop, progress: Progress) -> PreparedPictures:
    """The pictures, which the first of a team prepares while the others wait."""
    if not workshop.team.is_first:
        workshop.team.wait()
    prepared = _opened(plan, workshop, progress)
    if workshop.team.is_first:
        workshop.team.wait()
    return prepared


def _opened(plan: Plan, workshop: Workshop, progress: Progress) -> PreparedPictures:
    keys, shelf = [frame.picture for frame in plan.frames], Shelf(workshop.settings.pictures)
    wanted = Preprocessing(plan.request.side)
    return pictures.prepare(workshop.folder, keys, shelf.get, wanted, workshop.threads, progress)


def _store(database: Database, settings: Settings, plan: Plan, trained: Trained, file: WeightsFile) -> None:
    file.write(settings.weights)
    with database.write() as session:
        encoders.add(
            session,
            **file.columns(),
            architecture=plan.request.architecture,
            dimension=trained.dimension,
            preprocessing=Preprocessing(plan.request.side).as_json(),
            training=_how(plan, trained),
            metrics=_metrics(trained),
        )
        alive = library.group_ids(session)  # a patient may have been deleted while we trained
        parts = {frame.group_id: plan.part_of[frame.group] for frame in plan.frames if frame.group_id in alive}
        encoders.set_parts(session, file.encoder_id, parts)


def _how(plan: Plan, trained: Trained) -> dict[str, Any]:
    """What is needed to train it again, and to judge it."""
    return {
        **plan.request.as_json(),
        **trained.how,
        "data_sha256": plan.data_sha256,
        "images": {part.value: len(rows) for part, rows in trained.rows.items()},
        "groups": dict(Counter(part.value for part in plan.part_of.values())),
        "groups_kept": dict(Counter(part.value for part in plan.kept.values())),
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
