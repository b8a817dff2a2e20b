"""A probe that encodes again: what is left of the figures when nothing burned into the border can be seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from cbmir.encoders.base import Encoder
from cbmir.errors import BrokenFile, NotFound
from cbmir.evaluation.scores import Table
from cbmir.pictures.shelf import Shelf
from cbmir.progress import Progress
from cbmir.services.evaluation.trial import Side, Trial, run
from cbmir.types import ByteArray, FloatArray

SHARE = 0.1
"""Of the height at the top and the bottom, and of the width at both sides, that is made black."""
AT_ONCE = 64
"""Pictures encoded together."""


def masked(pixels: ByteArray) -> ByteArray:
    """The picture with a black border: uint8 (rows, columns) or (rows, columns, 3), a copy."""
    rows, columns = (round(SHARE * each) for each in pixels.shape[:2])
    black = np.zeros_like(pixels)
    inner = np.s_[rows : pixels.shape[0] - rows, columns : pixels.shape[1] - columns]
    black[inner] = pixels[inner]
    return black


def without_border(
    trial: Trial, ks: Sequence[int], keys: Mapping[int, str], shelf: Shelf, encoder: Encoder, progress: Progress
) -> dict[str, Any]:
    """Run the trial with queries and gallery encoded anew, their borders black.

    Returns:
        `share` made black at each side; `queries`, `gallery`; `unreadable`: pictures that could not be read, whose
        frames took no part; `at`, `whole`: the means over the queries, None where none is left.
    """
    blank = replace(
        trial,
        queries=_encoded(trial.queries, keys, shelf, encoder, progress),
        gallery=_encoded(trial.gallery, keys, shelf, encoder, progress),
    )
    answerable = trial.sets.relevant(blank.queries.codes, blank.gallery.codes) > 0
    blank = replace(blank, queries=blank.queries.where(answerable))
    frames = len(trial.queries) + len(trial.gallery)
    return {
        "share": SHARE,
        "queries": len(blank.queries),
        "gallery": len(blank.gallery),
        "unreadable": frames - len(answerable) - len(blank.gallery),
        **_means(blank, ks, progress),
    }


def _means(trial: Trial, ks: Sequence[int], progress: Progress) -> dict[str, Any]:
    if len(trial.queries) == 0:
        return {"at": None, "whole": None}
    table = Table.of(run(trial, max(ks), progress), ks, trial.queries.groups)
    return table.nested(table.values.mean(axis=0))


def _encoded(side: Side, keys: Mapping[int, str], shelf: Shelf, encoder: Encoder, progress: Progress) -> Side:
    """The frames whose picture can be read, with the features of the masked pictures."""
    read, vectors = np.zeros(len(side), np.bool_), list[FloatArray]()
    for start in range(0, len(side), AT_ONCE):
        progress.update(start, len(side), "encode without borders")
        inputs = []
        for place, frame_id in enumerate(side.frame_ids[start : start + AT_ONCE].tolist(), start):
            try:
                inputs.append(encoder.preprocessing.apply(masked(shelf.get(keys.get(frame_id, "")))))
            except (NotFound, BrokenFile):
                continue
            read[place] = True
        if inputs:
            vectors.append(encoder.encode(np.stack(inputs)))
    kept = side.where(read)
    return replace(kept, vectors=np.concatenate(vectors)) if vectors else kept
