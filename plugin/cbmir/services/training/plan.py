"""What a training starts from: pictures, groups, labels, and the split; and what comes out of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cbmir.errors import EmptyGallery, TrainingFailed
from cbmir.services.training import lineage
from cbmir.settings import Settings
from cbmir.store import training as library
from cbmir.store.session import Database
from cbmir.store.training import TrainingFrame
from cbmir.training import pictures, splits
from cbmir.training.checkpoint import Record
from cbmir.training.loop import Judge
from cbmir.training.objectives import Rows
from cbmir.training.pictures import PreparedPictures
from cbmir.training.request import TrainingRequest
from cbmir.training.team import Alone, Team
from cbmir.types import Part

JudgeMaker = Callable[[list[TrainingFrame]], Judge]
"""Makes a judge of the frames that are trained with; their places are the rows of the material."""
_PURPOSE = {Part.TRAIN: "train on", Part.VALIDATION: "validate with", Part.TEST: "test with"}


@dataclass(frozen=True)
class Plan:
    """What will be trained on.

    Attributes:
        frames: all stored frames; their places here are the rows of everything else.
        part_of: the part of each group, by its key.
        kept: of those the groups that the encoder to start from has seen, or kept from itself.
        data_sha256: of pictures, groups and labels.
        fingerprint: of data and request.
    """

    request: TrainingRequest
    frames: list[TrainingFrame]
    part_of: dict[str, Part]
    kept: dict[str, Part]
    data_sha256: str
    fingerprint: str

    def rows(self, prepared: PreparedPictures) -> dict[Part, Rows]:
        """The rows of each part whose picture could be read.

        Raises:
            cbmir.errors.TrainingFailed: if a part has none.
        """
        part_of = np.array([self.part_of[frame.group].value for frame in self.frames])
        rows = {part: pictures.usable(np.flatnonzero(part_of == part.value), prepared) for part in Part}
        for part, chosen in rows.items():
            if not len(chosen):
                raise TrainingFailed(
                    f"No picture of the part to {_PURPOSE[part]} can be read from the pictures folder.",
                    "Restore the folder `pictures` from a backup, or ingest the images again.",
                )
        return rows


@dataclass(frozen=True)
class Workshop:
    """Where and with what a training works.

    Attributes:
        settings: of the installation.
        folder: of this training alone: prepared pictures, checkpoint.
        threads: that may compute at once.
        judge: gives figures of each epoch, where a kind of training asks it; it changes nothing else.
        team: the processes that run this training together.
    """

    settings: Settings
    folder: Path
    threads: int
    judge: JudgeMaker | None = None
    team: Team = field(default_factory=Alone)


@dataclass(frozen=True)
class Trained:
    """What came out.

    Attributes:
        record: of the training, with the best weights.
        rows: of each part.
        unreadable: pictures that could not be read.
        test_loss: of the best weights over the test part.
        dimension: numbers in a feature.
        how: loss, optimiser, and what else this kind of training chose.
    """

    record: Record
    rows: dict[Part, Rows]
    unreadable: int
    test_loss: float
    dimension: int
    how: dict[str, Any]


def plan(database: Database, request: TrainingRequest) -> Plan:
    """Everything that is stored, split by patient; a group that the encoder to start from knows keeps its part.

    Raises:
        cbmir.errors.EmptyGallery: if no picture is stored.
        cbmir.errors.NotFound: if there is no encoder to start from.
        cbmir.errors.BadRequest: if the one to start from is of another architecture.
        cbmir.errors.TrainingFailed: if there are too few patients, or too few that the encoder has not seen.
    """
    with database.read() as session:
        frames = library.frames(session)
        seen = lineage.of_start(session, request)
    if not frames:
        raise EmptyGallery("There is no picture to train on.", "Ingest some first: `cbmir ingest`.")
    strata = splits.strata((frame.group, frame.label) for frame in frames)
    kept = {frame.group: seen[frame.group_id] for frame in frames if frame.group_id in seen}
    part_of = _complete(splits.assign(strata, request.seed, kept), request)
    data = data_sha256(frames)
    fingerprint = _sha256([data, request.as_json(), *([kept] if kept else [])])
    return Plan(request, frames, part_of, kept, data, fingerprint)


def _complete(part_of: dict[str, Part], request: TrainingRequest) -> dict[str, Part]:
    for part in Part:
        if part not in part_of.values():
            raise TrainingFailed(
                f"Of {len(part_of):,} patients none is left to {_PURPOSE[part]}: the encoder that this training "
                f"starts from, {request.start}, was trained on them.",
                "Ingest pictures of more patients, or start from weights that saw none: `--start photographs`.",
            )
    return part_of


def data_sha256(frames: list[TrainingFrame]) -> str:
    """SHA-256 of pictures, groups and labels, as it is recorded with an encoder."""
    return _sha256([[frame.picture, frame.group, frame.label] for frame in frames])


def _sha256(document: object) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
