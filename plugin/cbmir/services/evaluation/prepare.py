"""Who asks and who is searched: frames, labels and the split, for one encoder or for two that are compared."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from sqlalchemy.orm import Session

from cbmir.errors import EmptyGallery
from cbmir.evaluation.labels import LabelSets
from cbmir.services.evaluation import checks, split
from cbmir.services.evaluation.split import Split
from cbmir.services.evaluation.trial import Side, Trial
from cbmir.services.retrieval.scope import nothing_extracted
from cbmir.store import features, frames, tables


def prepare(session: Session, encoder: tables.Encoder, label: str, seed: int = 0) -> Trial:
    """The encoder's test part against the rest of the library; `seed` splits where the encoder brought no split.
    No group asks that the encoder was trained on, or one that it came from (`cbmir.services.training.lineage`).

    Raises:
        cbmir.errors.BadRequest: if no image has such a label.
        cbmir.errors.EmptyGallery: if features are missing, one side has no labelled image, or the encoder was
            trained on all.
    """
    everything, names = _load(session, encoder, label)
    return _arranged(everything, names, split.of(session, [encoder], _labels(everything, names), seed), label)


def pair(
    session: Session, encoder: tables.Encoder, other: tables.Encoder, label: str, seed: int = 0
) -> tuple[Trial, Trial]:
    """The same trial for two encoders: the same queries and gallery, each with its own features.

    Only frames with features of both take part. Groups ask that neither encoder was trained on; a group that is in
    the test part of one alone neither asks nor is searched.

    Raises:
        cbmir.errors.BadRequest: if no image has such a label, or both encoders are one.
        cbmir.errors.EmptyGallery: if features are missing, no group is in the test part of both, or one side has no
            labelled image.
    """
    if encoder.id == other.id:
        raise checks.compared_with_itself(encoder.id)
    ours, names = _load(session, encoder, label)
    theirs, _ = _load(session, other, label)
    ours = ours.where(np.isin(ours.frame_ids, theirs.frame_ids))
    if len(ours) == 0:
        raise EmptyGallery("No image has features of both encoders.", "Run `cbmir extract` for each of them.")
    trial = _arranged(ours, names, split.of(session, [encoder, other], _labels(ours, names), seed), label)
    return trial, replace(trial, queries=_with(trial.queries, theirs), gallery=_with(trial.gallery, theirs))


def _with(side: Side, features_of: Side) -> Side:
    """The same frames with the vectors that they have there."""
    return replace(side, vectors=features_of.vectors[np.searchsorted(features_of.frame_ids, side.frame_ids)])


def _load(session: Session, encoder: tables.Encoder, label: str) -> tuple[Side, list[str]]:
    labelled = frames.labelled(session, encoder.id, label)
    names = sorted({value for value in labelled.values if value is not None})
    if len(labelled.frame_ids) == 0:
        raise nothing_extracted(session, encoder.id)
    if not names:
        raise checks.no_such_label(session, label)
    numbers = {name: number for number, name in enumerate(names)}
    codes = np.array([-1 if value is None else numbers[value] for value in labelled.values], np.int64)
    frame_ids, vectors = features.matrix(session, encoder.id)
    both, here, there = np.intersect1d(labelled.frame_ids, frame_ids, assume_unique=True, return_indices=True)
    return Side(both, codes[here], labelled.group_ids[here], vectors[there]), names


def _labels(everything: Side, names: list[str]) -> list[tuple[int, str]]:
    """Group and label of every labelled frame."""
    pairs = zip(everything.groups.tolist(), everything.codes.tolist(), strict=True)
    return [(group, names[code]) for group, code in pairs if code >= 0]


def _arranged(everything: Side, names: list[str], chosen: Split, label: str) -> Trial:
    in_test, kept_out = (np.isin(everything.groups, list(groups)) for groups in (chosen.asked, chosen.kept_out))
    has_label, sets = everything.codes >= 0, LabelSets.of(names)
    gallery, asked = everything.where(has_label & ~kept_out), everything.where(has_label & in_test)
    answerable = sets.relevant(asked.codes, gallery.codes) > 0
    trial = Trial(
        names=names,
        sets=sets,
        queries=asked.where(answerable),
        gallery=gallery,
        unanswerable=asked.where(~answerable),
        unlabelled=(int((~has_label & in_test).sum()), int((~has_label & ~kept_out).sum())),
        split=chosen.made,
    )
    _check(trial, label)
    return trial


def _check(trial: Trial, label: str) -> None:
    if len(trial.gallery) == 0:
        raise EmptyGallery(
            f"No group (patient) outside the test part has an image labelled with {label}.",
            "Ingest labelled images of more patients.",
        )
    if len(trial.queries) == 0:
        why = "shares its label with another group's" if len(trial.unanswerable) else f"is labelled with {label}"
        raise EmptyGallery(
            f"No image of the encoder's test groups {why}: there is nothing to ask.",
            "Label more images, or train anew: the test part is then drawn from what is labelled.",
        )
