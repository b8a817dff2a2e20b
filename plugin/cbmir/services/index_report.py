"""What the index files are: how far behind, how large, and whether every number in them is the database's."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from cbmir.errors import BrokenFile, EmptyGallery, NotFound
from cbmir.index import file
from cbmir.index.exact import Touched
from cbmir.services import index_files
from cbmir.settings import Settings
from cbmir.store import encoders, features
from cbmir.store.session import Database

ASKED = 50
"""Members asked about in `measured`."""


def status(database: Database, settings: Settings) -> list[dict[str, Any]]:
    """The file of each encoder that has features: `state` is `current`, `behind`, `missing` or `damaged`.

    `behind` counts the features that came and went since; they are searched beside the file all the same.
    """
    with database.read() as session:
        rows = [(row, features.count(session, row.id)) for row in encoders.listing(session)]
        report = []
        for encoder, count in rows:
            told: dict[str, Any] = {"encoder": encoder.id, "features": count, "generation": encoder.generation}
            try:
                stamp = file.read_stamp(index_files.path(settings, encoder.id), encoder.id)
            except NotFound:
                told["state"] = "missing"
            except BrokenFile as error:
                told |= {"state": "damaged", "reason": error.sentence}
            else:
                lag = index_files.behind(session, encoder, stamp)
                size = index_files.path(settings, encoder.id).stat().st_size
                told |= {"state": "behind" if lag else "current", "behind": lag, "bytes": size}
                told["file_generation"] = stamp.generation
            if count or told["state"] != "missing":
                report.append(told)
    return report


def verify(database: Database, settings: Settings, encoder_id: str | None) -> dict[str, Any]:
    """Compare every number of an encoder's file with the database; without an id, of the encoder in use.

    Raises:
        cbmir.errors.NotFound: if there is no such encoder, or no file.
        cbmir.errors.BrokenFile: if the file is damaged, or holds anything else than the database.
    """
    with database.read() as session:
        encoder = encoders.resolve(session, encoder_id)
        base = index_files.opened(session, encoder, settings)
        wanted = features.members_of(session, encoder)
        changed = features.members_of(session, encoder, base.stamp.generation).frame_ids
    expected = ~np.isin(wanted.frame_ids, changed)
    places = np.searchsorted(base.index.ids, wanted.frame_ids[expected])
    held = base.index.contains(wanted.frame_ids[expected])
    ours = base.index.cells.vectors[base.index.rows[places[held]]]
    if not held.all() or not np.array_equal(ours, wanted.vectors[expected][held]):
        raise BrokenFile("The index file does not hold what the database has.", file.REMEDY)
    return {"encoder": encoder.id, "compared": int(expected.sum()), "newer": len(changed)}


def measured(database: Database, settings: Settings, encoder_id: str | None, k: int) -> dict[str, Any]:
    """How long the search alone takes in this process, asked about members spread over the file.

    Raises:
        as `verify`.
        cbmir.errors.EmptyGallery: if the file holds nothing.
    """
    with database.read() as session:
        encoder = encoders.resolve(session, encoder_id)
        start = time.perf_counter()
        index = index_files.opened(session, encoder, settings).index
        opening = time.perf_counter() - start
    if not len(index):
        raise EmptyGallery("The index file holds nothing.", "Run `cbmir extract`.")
    queries = index.cells.vectors[:: max(1, len(index) // ASKED)][:ASKED]
    index.search(queries[:1], k)  # the first one loads machine code
    touched, times = Touched(), []
    for query in queries:
        start = time.perf_counter()
        index.search(query[np.newaxis], k, touched=touched)
        times.append(1e3 * (time.perf_counter() - start))
    return {
        "encoder": encoder.id,
        "features": len(index),
        "k": k,
        "open_ms": 1e3 * opening,
        "median_ms": float(np.median(times)),
        "slowest_ms": max(times),
        "measured": touched.measured / len(queries),
        "codes_part": touched.codes / len(queries) / index.cells.codes.size,
    }
