"""Queries of test patients against the images of all others: set up and run."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sqlalchemy.orm import Session

from cbmir.errors import BadRequest, EmptyGallery
from cbmir.evaluation.labels import CodeArray, LabelSets
from cbmir.evaluation.metrics import Rankings, Scores
from cbmir.evaluation.whole import WHOLE, ranks
from cbmir.index import registry
from cbmir.index.base import IdArray, Index
from cbmir.progress import Progress
from cbmir.services.scope import nothing_extracted
from cbmir.store import encoders, features, frames, tables
from cbmir.training import splits
from cbmir.types import FloatArray, Part

AT_ONCE = 256
"""Queries searched between two reports of progress."""


@dataclass(frozen=True)
class Side:
    """Frames on one side of the trial, all arrays parallel and by ascending id.

    Attributes:
        frame_ids: int64 (n,).
        codes: int64 (n,), each frame's label by its place in `Trial.names`; -1 for none.
        groups: int64 (n,), row ids of the patients' groups.
        vectors: float32 (n, d).
    """

    frame_ids: IdArray
    codes: CodeArray
    groups: IdArray
    vectors: FloatArray

    def __len__(self) -> int:
        return len(self.frame_ids)

    def where(self, chosen: npt.NDArray[np.bool_]) -> Side:
        """Only the frames where `chosen`, bool (n,), holds."""
        return Side(self.frame_ids[chosen], self.codes[chosen], self.groups[chosen], self.vectors[chosen])


@dataclass(frozen=True)
class Trial:
    """What is asked and what is searched: no group is on both sides.

    Attributes:
        names: values of the label.
        sets: the labels that each value names.
        queries: labelled frames of test groups that share a label with one of the gallery.
        gallery: labelled frames of all other groups.
        unanswerable: labelled frames of test groups whose labels the gallery lacks.
        unlabelled: frames without the label, of test groups and of the others.
        split: where the split comes from, in a sentence.
    """

    names: list[str]
    sets: LabelSets
    queries: Side
    gallery: Side
    unanswerable: Side
    unlabelled: tuple[int, int]
    split: str


def prepare(session: Session, encoder: tables.Encoder, label: str) -> Trial:
    """The encoder's test part against the rest of the library.

    Raises:
        cbmir.errors.BadRequest: if no image has such a label.
        cbmir.errors.EmptyGallery: if features are missing, or one side has no labelled image.
    """
    everything, names = _load(session, encoder, label)
    test_groups, split = _test_groups(session, encoder, everything, names)
    in_test = np.isin(everything.groups, np.fromiter(test_groups, np.int64))
    has_label = everything.codes >= 0
    gallery = everything.where(has_label & ~in_test)
    asked = everything.where(has_label & in_test)
    sets = LabelSets.of(names)
    answerable = sets.relevant(asked.codes, gallery.codes) > 0
    trial = Trial(
        names=names,
        sets=sets,
        queries=asked.where(answerable),
        gallery=gallery,
        unanswerable=asked.where(~answerable),
        unlabelled=(int((~has_label & in_test).sum()), int((~has_label & ~in_test).sum())),
        split=split,
    )
    _check(trial, label)
    return trial


def run(trial: Trial, k: int, progress: Progress) -> Rankings:
    """Search the k nearest of every query, and rank the whole gallery for it.

    Raises:
        cbmir.errors.JobCancelled: if somebody asked to stop.
    """
    index, asked = gallery_index(trial), trial.queries
    retrieved = np.empty((len(asked), min(k, len(index))), np.int64)
    whole = {name: np.empty(len(asked), np.float64) for name in WHOLE}
    for start in range(0, len(asked), AT_ONCE):
        progress.update(start, len(asked), "search")
        block = slice(start, start + AT_ONCE)
        found = index.search(asked.vectors[block], k)
        ids = np.array([[frame_id for frame_id, _ in ranking] for ranking in found], np.int64)
        retrieved[block] = trial.gallery.codes[np.searchsorted(trial.gallery.frame_ids, ids)]
        _rank(trial, range(start, min(start + AT_ONCE, len(asked))), whole)
    progress.update(len(asked), len(asked), "search")
    relevant = trial.sets.relevant(asked.codes, trial.gallery.codes)
    return Rankings(asked.codes, retrieved, relevant, trial.sets, whole)


def _rank(trial: Trial, rows: range, whole: dict[str, Scores]) -> None:
    """Fill in the metrics over the whole gallery of these queries, one query at a time."""
    for row in rows:
        relevant = trial.sets.sharing(int(trial.queries.codes[row]))[trial.gallery.codes]
        places = ranks(trial.queries.vectors[row], trial.gallery.vectors, relevant)
        for name, metric in WHOLE.items():
            whole[name][row] = metric(places)


def gallery_index(trial: Trial) -> Index:
    """An exact index over the trial's gallery."""
    return registry.build(trial.gallery.frame_ids, trial.gallery.vectors)


def _load(session: Session, encoder: tables.Encoder, label: str) -> tuple[Side, list[str]]:
    labelled = frames.labelled(session, encoder.id, label)
    names = sorted({value for value in labelled.values if value is not None})
    if len(labelled.frame_ids) == 0:
        raise nothing_extracted(session, encoder.id)
    if not names:
        raise BadRequest(f"No image has a label {label!r}.", "Name another label, or ingest with a manifest.")
    numbers = {name: number for number, name in enumerate(names)}
    codes = np.array([-1 if value is None else numbers[value] for value in labelled.values], np.int64)
    frame_ids, vectors = features.matrix(session, encoder.id)
    both, here, there = np.intersect1d(labelled.frame_ids, frame_ids, assume_unique=True, return_indices=True)
    return Side(both, codes[here], labelled.group_ids[here], vectors[there]), names


def _test_groups(
    session: Session, encoder: tables.Encoder, everything: Side, names: list[str]
) -> tuple[Collection[int], str]:
    parts = encoders.parts(session, encoder.id)
    if parts:
        made = "The test part of the encoder's own split, none of whose groups it was trained on."
    else:
        parts = _made_up(session, everything, names)
        made = "The encoder brought no split: groups were split for this evaluation, with seed 0."
    return [group for group, part in parts.items() if part is Part.TEST], made


def _made_up(session: Session, everything: Side, names: list[str]) -> dict[int, Part]:
    keys = frames.group_keys(session)
    pairs = zip(everything.groups.tolist(), everything.codes.tolist(), strict=True)
    strata = splits.strata((keys[group], names[code]) for group, code in pairs if code >= 0)
    if len(strata) < splits.FEWEST_GROUPS:
        raise EmptyGallery(
            f"Only {len(strata)} groups (patients) have labelled images: too few to evaluate.",
            "Ingest labelled images of more patients.",
        )
    parts = splits.assign(strata, seed=0)
    return {group: parts[key] for group, key in keys.items() if key in parts}


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
