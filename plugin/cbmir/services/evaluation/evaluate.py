"""The use case: how well an encoder retrieves images of patients that it was not trained on."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cbmir import __version__
from cbmir.errors import BadRequest
from cbmir.evaluation import definitions
from cbmir.evaluation.intervals import difference, intervals
from cbmir.evaluation.scores import Table
from cbmir.evaluation.summary import breakdown, summarise
from cbmir.pictures.shelf import Shelf
from cbmir.progress import Progress
from cbmir.services.evaluation import examples
from cbmir.services.evaluation.prepare import pair, prepare
from cbmir.services.evaluation.probes.probe import checked, probe, values
from cbmir.services.evaluation.trial import Side, Trial, run
from cbmir.settings import Settings
from cbmir.store import encoders, tables
from cbmir.store.session import Database

RECORDED = (
    "label", "queries", "gallery", "chance", "at", "macro", "macro_several", "whole", "per_class", "against", "by",
    "probes", "groups", "skipped", "split",
)  # fmt: skip
"""What of a result is kept with the encoder, beside the intervals; one of an earlier version has less."""


def evaluate(
    database: Database,
    settings: Settings,
    encoder_id: str | None,
    ks: Sequence[int],
    label: str,
    progress: Progress,
    report: Path | None = None,
    against: str | None = None,
    by: Sequence[str] = (),
    probes: Collection[str] = (),
    seed: int = 0,
) -> dict[str, Any]:
    """Retrieve with every labelled image of the encoder's test groups among those of all other groups.

    Where an encoder brought no split of its own, groups are split for the occasion.

    Args:
        encoder_id: None means the encoder in use.
        ks: numbers of retrieved images; of a k above the gallery's size all of it is retrieved.
        label: name of the label that makes a retrieved image relevant, such as modality or subclass.
        progress: told after every block of queries.
        report: folder for the report and its figures.
        by: names of other labels, or of `cbmir.store.frames.DESCRIPTIONS`, by whose values queries are told apart.
        against: another encoder, asked the same queries; both are then evaluated over the groups that neither was
            trained on, and the images that have features of both.
        probes: of `cbmir.evaluation.definitions.PROBES`, or `all`.
        seed: of the split, where the encoder brought none.

    Returns:
        `encoder`, `label`, `queries`, `gallery` (counts of images), `chance` (the precision by chance); the
        averages as in `cbmir.evaluation.summary.summarise`; `intervals` as in
        `cbmir.evaluation.intervals.intervals`; besides
        `against` (None, or of the other encoder its id as `encoder`, `at`, `macro`, `macro_several`, `whole`,
        `intervals`, and `difference` as in `cbmir.evaluation.intervals.difference`), `by` (other label -> `values`
        as in `cbmir.evaluation.summary.breakdown`, and `queries_without`), `probes` as in
        `cbmir.services.evaluation.probes.probe.probe`, `retrieved` (k -> images really retrieved),
        `groups` (counts), `skipped` (images left out, and why), `split` (where it comes from), `command` (the
        command line that does this), `version` (of cbmir) and `definitions` (what each number means). The encoder's
        metrics keep it, but for the last three and the intervals of each label.

    Raises:
        cbmir.errors.BadRequest: if a k is below 1, no image has such a label, or the report cannot be written.
        cbmir.errors.NotFound: if there is no such encoder.
        cbmir.errors.EmptyGallery: if features are missing, or one side has no labelled image.
        cbmir.errors.JobCancelled: if somebody asked to stop.
        cbmir.errors.DiskFull: if there is no room for the report.
    """
    wanted, probes = _checked(ks), checked(probes)
    progress.update(0, 0, "load the features")
    with database.read() as session:
        encoder = encoders.usable(session, encoder_id)
        other = None if against is None else encoders.usable(session, against)
        trial, second = (
            (prepare(session, encoder, label, seed), None)
            if other is None
            else pair(session, encoder, other, label, seed)
        )
        others = {name: values(session, encoder, name, [trial.queries])[0] for name in by}
    table = _measured(trial, wanted, progress)
    result = _result(encoder, label, trial, wanted, table)
    result["by"] = {name: _told_apart(table, values) for name, values in others.items()}
    if other is not None and second is not None:
        result["against"] = _compared(other, table, _measured(second, wanted, progress))
    result["probes"] = probe(database, settings, encoder, trial, table, wanted, probes, by, progress)
    result["command"] = _command(encoder.id, against, label, wanted, by, probes, seed)
    result |= {"version": __version__, "definitions": definitions.of(result)}
    if report is not None:
        _write(database, settings, trial, result, report)
    with database.write() as session:
        encoders.record_evaluation(session, encoder.id, _to_record(result))
    return result


def _measured(trial: Trial, ks: Sequence[int], progress: Progress) -> Table:
    return Table.of(run(trial, max(ks), progress), ks, trial.queries.groups)


def _told_apart(table: Table, values: Sequence[str | None]) -> dict[str, Any]:
    return {"values": breakdown(table, values), "queries_without": sum(value is None for value in values)}


def _compared(other: tables.Encoder, table: Table, second: Table) -> dict[str, Any]:
    summary = summarise(second, np.zeros(len(second.names), np.int64))
    return {
        "encoder": other.id,
        **{name: summary[name] for name in ("at", "macro", "macro_several", "whole")},
        "intervals": _brief(intervals(second)),
        "difference": difference(table, second),
    }


def _checked(ks: Sequence[int]) -> list[int]:
    if not ks or min(ks) < 1:
        raise BadRequest("The numbers of retrieved images must be 1 or more.", "Give some such as 20,40,60,80,100.")
    return sorted(set(ks))


def _result(encoder: tables.Encoder, label: str, trial: Trial, ks: Sequence[int], table: Table) -> dict[str, Any]:
    return {
        "encoder": encoder.id,
        "label": label,
        "queries": len(trial.queries),
        "gallery": len(trial.gallery),
        "chance": _chance(trial),
        **summarise(table, trial.sets.holders(trial.gallery.codes)),
        "intervals": intervals(table),
        "against": None,
        "by": {},
        "probes": {},
        "retrieved": {str(k): min(k, len(trial.gallery)) for k in ks},
        "groups": {"queries": _groups(trial.queries), "gallery": _groups(trial.gallery)},
        "skipped": _skipped(trial),
        "split": trial.split,
    }


def _command(
    encoder: str,
    against: str | None,
    label: str,
    ks: Sequence[int],
    by: Sequence[str],
    probes: Collection[str],
    seed: int,
) -> str:
    words = ["cbmir", "evaluate", "--encoder", encoder, *(["--against", against] if against else [])]
    words += ["--label", label, "--k", ",".join(map(str, ks)), "--seed", str(seed)]
    for option, names in (("--by", by), ("--probe", probes)):
        words += [word for name in names for word in (option, name)]
    return shlex.join(words)


def _chance(trial: Trial) -> float:
    return float(trial.sets.relevant(trial.queries.codes, trial.gallery.codes).mean() / len(trial.gallery))


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
    kept = {name: result[name] for name in RECORDED}
    return {"evaluated_at": tables.now().isoformat(), **kept, "intervals": _brief(result["intervals"])}


def _brief(found: dict[str, Any] | None) -> dict[str, Any] | None:
    """Intervals without those of each label."""
    return None if found is None else {name: each for name, each in found.items() if name != "per_class"}
