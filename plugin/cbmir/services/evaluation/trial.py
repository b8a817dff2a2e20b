"""Queries of test patients against the images of all others; `cbmir.services.evaluation.prepare` sets them up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cbmir.evaluation.labels import CodeArray, LabelSets
from cbmir.evaluation.metrics import Rankings, Scores
from cbmir.evaluation.whole import WHOLE, ranks
from cbmir.index import registry
from cbmir.index.base import Index
from cbmir.progress import Progress
from cbmir.types import FloatArray, IdArray

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
