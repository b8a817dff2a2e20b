"""Which probes an evaluation runs, and what they are given."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from cbmir.errors import BadRequest
from cbmir.evaluation.definitions import PROBES
from cbmir.evaluation.scores import Table
from cbmir.pictures.shelf import Shelf
from cbmir.progress import Progress
from cbmir.services.evaluation.checks import no_such_label
from cbmir.services.evaluation.probes.border import without_border
from cbmir.services.evaluation.probes.leakage import duplicates, leakage, predictability
from cbmir.services.evaluation.probes.unseen import unseen
from cbmir.services.evaluation.trial import Side, Trial
from cbmir.services.features.loading import load_encoder
from cbmir.settings import Settings
from cbmir.store import frames, tables
from cbmir.store.session import Database

SOURCES = ("source", "manufacturer", "model_name", "size")
"""Where a picture comes from and what made it: a linear probe reads off the features what is known of it."""

CONTENT = ("modality", "subclass", "body_part", "laterality", "view_position")
"""What a picture shows: that features tell it is their purpose, and nothing to be warned of."""


def checked(names: Collection[str]) -> list[str]:
    """The probes asked for, in their order; `all` stands for all.

    Raises:
        cbmir.errors.BadRequest: if there is no such probe.
    """
    unknown = sorted(set(names) - {*PROBES, "all"})
    if unknown:
        raise BadRequest(f"There is no probe {unknown[0]!r}.", f"Use some of: {', '.join(PROBES)}, all.")
    return [name for name in PROBES if name in names or "all" in names]


def probe(
    database: Database,
    settings: Settings,
    encoder: tables.Encoder,
    trial: Trial,
    table: Table,
    ks: Sequence[int],
    asked: Collection[str],
    by: Sequence[str],
    progress: Progress,
) -> dict[str, Any]:
    """Run some probes.

    Args:
        encoder: whose features; the border is masked with its weights.
        trial: the evaluation's.
        table: scores of its queries.
        ks: numbers of retrieved images.
        asked: of `PROBES`.
        by: further labels that `source` reads off the features beside `SOURCES`, unless they are of `CONTENT`.
        progress: told now and then.

    Returns:
        Probe -> what it found: see the modules `leakage`, `border` and `unseen`; `source` is by label.

    Raises:
        cbmir.errors.NotFound: if the border is asked for, and the encoder's weights are not here.
    """
    found, shelf = dict[str, Any](), Shelf(settings.pictures)
    with database.read() as session:
        keys = frames.pictures(session, encoder.id) if {"duplicates", "border"} & set(asked) else {}
        sources = _sources(session, encoder, by) if "source" in asked else []
        sides = {name: values(session, encoder, name, [trial.gallery, trial.queries]) for name in sources}
    if "leakage" in asked:
        found["leakage"] = leakage(trial, ks)
    if "duplicates" in asked:
        found["duplicates"] = duplicates(trial, table, keys, shelf, progress)
    if "source" in asked:
        found["source"] = {name: predictability(trial, *side) for name, side in sides.items()}
    if "border" in asked:
        found["border"] = without_border(trial, ks, keys, shelf, load_encoder(encoder, settings), progress)
    if "unseen" in asked:
        found["unseen"] = unseen(trial, progress, settings.nothing_similar_below or 0.05) or {}
    return found


def values(session: Session, encoder: tables.Encoder, name: str, sides: Sequence[Side]) -> list[list[str | None]]:
    """What each frame of each side is by another label.

    Raises:
        cbmir.errors.BadRequest: if no image has such a label.
    """
    found = frames.described(session, encoder.id, name)
    if all(value is None for value in found.values):
        raise no_such_label(session, name)
    places = [np.searchsorted(found.frame_ids, side.frame_ids).tolist() for side in sides]
    return [[found.values[place] for place in side] for side in places]


def _sources(session: Session, encoder: tables.Encoder, by: Sequence[str]) -> list[str]:
    known = [name for name in SOURCES if any(frames.described(session, encoder.id, name).values)]
    return known + [name for name in dict.fromkeys(by) if name not in (*SOURCES, *CONTENT)]
