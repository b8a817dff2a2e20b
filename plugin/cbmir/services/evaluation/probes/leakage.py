"""Probes of a trial: do the figures come from the same patient, from copies, or from the images' source?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cbmir.errors import BrokenFile, NotFound
from cbmir.evaluation.labels import CodeArray
from cbmir.evaluation.metrics import Rankings
from cbmir.evaluation.probes import hashes, linear
from cbmir.evaluation.scores import Table
from cbmir.pictures.shelf import Shelf
from cbmir.progress import Progress
from cbmir.services.evaluation.trial import AT_ONCE, Side, Trial, gallery_index

READ_AT_ONCE = 100
"""Pictures read between two reports of progress."""


def leakage(trial: Trial, ks: Sequence[int]) -> dict[str, Any]:
    """What the figures would be if a patient were not kept out of the gallery.

    Each query is asked of the gallery and of all other queries of its own group.

    Returns:
        `queries`: those that have such others; `at`: k -> metric -> mean over all queries.
    """
    asked, index, most = trial.queries, gallery_index(trial), max(ks)
    retrieved = np.empty((len(asked), min(most, len(index))), np.int64)
    own, relevant = np.zeros(len(asked), np.int64), trial.sets.relevant(asked.codes, trial.gallery.codes)
    for start in range(0, len(asked), AT_ONCE):
        rankings = index.search(asked.vectors[start : start + AT_ONCE], most)
        for row, ranking in enumerate(rankings, start):
            others = _others(asked, row)
            own[row] = len(others)
            relevant[row] += int(trial.sets.sharing(int(asked.codes[row]))[asked.codes[others]].sum())
            retrieved[row] = _merged(trial, row, others, ranking)[: retrieved.shape[1]]
    table = Table.of(Rankings(asked.codes, retrieved, relevant, trial.sets, {}), ks, asked.groups)
    return {"queries": int((own > 0).sum()), "at": table.nested(table.values.mean(axis=0))["at"]}


def duplicates(
    trial: Trial, table: Table, keys: Mapping[int, str], shelf: Shelf, progress: Progress
) -> dict[str, Any]:
    """Near-duplicates between queries and gallery, which are of different groups.

    Args:
        trial: whose frames.
        table: scores of its queries.
        keys: of the frames' pictures.
        shelf: where these are.
        progress: told now and then.

    Returns:
        `candidates`: pairs whose hashes are near; `pairs` that are alike too; `queries` that are in one of these;
        `pairs_of_other_label`; `flat` and `unreadable`: pictures that were not compared; `left`: queries without a
        near-duplicate, and `at` and `whole`, the means over these (None where none is left).
    """
    asked, flat, gone = _looks(trial.queries, keys, shelf, progress)
    searched, also_flat, also_gone = _looks(trial.gallery, keys, shelf, progress)
    blocks = list(hashes.near(asked, searched))
    rows, places = _joined([rows for rows, _, _ in blocks]), _joined([places for _, places, _ in blocks])
    labels = trial.sets.members
    shared = (labels[trial.queries.codes[rows]] & labels[trial.gallery.codes[places]]).any(axis=1)
    left = np.ones(len(trial.queries), np.bool_)
    left[rows] = False
    means = table.nested(table.values[left].mean(axis=0)) if left.any() else {"at": None, "whole": None}
    return {
        "candidates": sum(count for _, _, count in blocks),
        "queries": int((~left).sum()),
        "pairs": len(rows),
        "pairs_of_other_label": int((~shared).sum()),
        "flat": flat + also_flat,
        "unreadable": gone + also_gone,
        "left": int(left.sum()),
        **means,
    }


def predictability(
    trial: Trial, fitted: Sequence[str | None], tested: Sequence[str | None]
) -> dict[str, Any] | None:
    """How well the features tell another label: fitted on the gallery, tested on the queries.

    Args:
        trial: whose features.
        fitted: the gallery's values of that label.
        tested: the queries' values.

    Returns:
        As `cbmir.evaluation.probes.linear.Predicted`; None where there is nothing to tell.
    """
    numbers = {name: number for number, name in enumerate(sorted({value for value in fitted if value is not None}))}
    fit, test = (np.array([numbers.get(value or "", -1) for value in side], np.int64) for side in (fitted, tested))
    found = linear.predict(
        trial.gallery.vectors[fit >= 0], fit[fit >= 0], trial.queries.vectors[test >= 0], test[test >= 0]
    )
    return None if found is None else found.as_json()


def _others(asked: Side, row: int) -> CodeArray:
    """The other queries of this one's group."""
    same: CodeArray = np.flatnonzero(asked.groups == asked.groups[row])
    return np.delete(same, np.searchsorted(same, row))


def _merged(trial: Trial, row: int, others: CodeArray, ranking: Sequence[tuple[int, float]]) -> CodeArray:
    """Codes of the ranking and of these other queries, nearest first, equal distances by id."""
    asked, gallery = trial.queries, trial.gallery
    away = asked.vectors[others].astype(np.float64) - asked.vectors[row]
    ids = np.array([frame_id for frame_id, _ in ranking], np.int64)
    distances = np.concatenate([[distance for _, distance in ranking], np.sqrt((away * away).sum(axis=1))])
    order = np.lexsort((np.concatenate([ids, asked.frame_ids[others]]), distances))
    codes = np.concatenate([gallery.codes[np.searchsorted(gallery.frame_ids, ids)], asked.codes[others]])
    return np.asarray(codes[order])


def _looks(side: Side, keys: Mapping[int, str], shelf: Shelf, progress: Progress) -> tuple[hashes.Looks, int, int]:
    """What the frames look like, by their places, and how many pictures are flat and cannot be read."""
    found, flat, gone = dict[int, Any](), 0, 0
    for place, frame_id in enumerate(side.frame_ids.tolist()):
        if place % READ_AT_ONCE == 0:
            progress.update(place, len(side), "compare pictures")
        try:
            value = hashes.look(shelf.get(keys.get(frame_id, "")))
        except (NotFound, BrokenFile):
            gone += 1
            continue
        if value is None:
            flat += 1
        else:
            found[place] = value
    return hashes.Looks.of(found), flat, gone


def _joined(parts: Sequence[CodeArray]) -> CodeArray:
    return np.concatenate([np.zeros(0, np.int64), *parts])
