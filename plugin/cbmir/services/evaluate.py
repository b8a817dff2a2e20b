"""The use case: how well an encoder retrieves images of patients that it was not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cbmir.errors import BadRequest
from cbmir.evaluation.definitions import DEFINITIONS
from cbmir.evaluation.scores import Table
from cbmir.evaluation.summary import summarise
from cbmir.pictures.shelf import Shelf
from cbmir.progress import Progress
from cbmir.services import examples
from cbmir.services.trial import Side, Trial, prepare, run
from cbmir.settings import Settings
from cbmir.store import encoders, tables
from cbmir.store.session import Database

RECORDED = ("label", "queries", "gallery", "at", "macro", "whole", "per_class", "groups", "skipped", "split")
"""What of a result is kept with the encoder."""


def evaluate(
    database: Database,
    settings: Settings,
    encoder_id: str | None,
    ks: Sequence[int],
    label: str,
    progress: Progress,
    report: Path | None = None,
) -> dict[str, Any]:
    """Retrieve with every labelled image of the encoder's test groups among those of all other groups.

    Where an encoder brought no split of its own, groups are split for the occasion, with seed 0.

    Args:
        encoder_id: None means the encoder in use.
        ks: numbers of retrieved images; of a k above the gallery's size all of it is retrieved.
        label: name of the label that makes a retrieved image relevant, such as modality or subclass.
        progress: told after every block of queries.
        report: folder for the report and its figures.

    Returns:
        `encoder`, `label`, `queries`, `gallery` (counts of images), `at` (k -> metric -> mean over the queries)
        and `per_class` (label -> `queries`, `gallery`, `at`); besides `macro` (mean over the labels), `retrieved`
        (k -> images really retrieved), `groups` (counts), `skipped` (images left out, and why), `split` (where it
        comes from) and `definitions` (what each number means). The encoder's metrics keep it.

    Raises:
        cbmir.errors.BadRequest: if a k is below 1, no image has such a label, or the report cannot be written.
        cbmir.errors.NotFound: if there is no such encoder.
        cbmir.errors.EmptyGallery: if features are missing, or one side has no labelled image.
        cbmir.errors.JobCancelled: if somebody asked to stop.
        cbmir.errors.DiskFull: if there is no room for the report.
    """
    wanted = _checked(ks)
    progress.update(0, 0, "load the features")
    with database.read() as session:
        encoder = encoders.resolve(session, encoder_id)
        trial = prepare(session, encoder, label)
    result = _result(encoder, label, trial, _measured(trial, wanted, progress))
    if report is not None:
        _write(database, settings, trial, result, report)
    with database.write() as session:
        encoders.record_evaluation(session, encoder.id, _to_record(result))
    return result


def _measured(trial: Trial, ks: Sequence[int], progress: Progress) -> dict[str, Any]:
    rankings = run(trial, max(ks), progress)
    return summarise(rankings, Table.of(rankings, ks), ks, trial.sets.holders(trial.gallery.codes))


def _checked(ks: Sequence[int]) -> list[int]:
    if not ks or min(ks) < 1:
        raise BadRequest("The numbers of retrieved images must be 1 or more.", "Give some such as 20,40,60,80,100.")
    return sorted(set(ks))


def _result(encoder: tables.Encoder, label: str, trial: Trial, summary: dict[str, Any]) -> dict[str, Any]:
    return {
        "encoder": encoder.id,
        "label": label,
        "queries": len(trial.queries),
        "gallery": len(trial.gallery),
        **summary,
        "groups": {"queries": _groups(trial.queries), "gallery": _groups(trial.gallery)},
        "skipped": _skipped(trial),
        "split": trial.split,
        "definitions": dict(DEFINITIONS),
    }


def _groups(side: Side) -> int:
    return len(np.unique(side.groups))


def _skipped(trial: Trial) -> dict[str, Any]:
    return {
        "unlabelled_queries": trial.unlabelled[0],
        "unlabelled_gallery": trial.unlabelled[1],
        "queries_without_relevant": len(trial.unanswerable),
        "labels_without_relevant": [trial.names[code] for code in np.unique(trial.unanswerable.codes)],
    }


def _write(database: Database, settings: Settings, trial: Trial, result: dict[str, Any], folder: Path) -> None:
    from cbmir.evaluation.report import write  # matplotlib takes its time, and only a report needs it

    with database.read() as session:
        shown = examples.pick(session, trial, Shelf(settings.pictures))
    write(folder, result, shown)


def _to_record(result: dict[str, Any]) -> dict[str, Any]:
    return {"evaluated_at": tables.now().isoformat(), **{name: result[name] for name in RECORDED}}
