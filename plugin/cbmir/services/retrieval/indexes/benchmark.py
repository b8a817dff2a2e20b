"""How long a search takes with the kept index, and how much of the truth it finds, beside the exact one."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from cbmir.errors import EmptyGallery
from cbmir.index import exact
from cbmir.index.base import Index, Ranking
from cbmir.index.exact import ExactIndex, Touched
from cbmir.index.recall import Truth
from cbmir.services.retrieval.indexes import index_files
from cbmir.services.retrieval.indexes.backends.choose import check
from cbmir.settings import Settings
from cbmir.store import encoders, features
from cbmir.store.session import Database
from cbmir.types import FloatArray, IdArray

ASKED = 50
"""Members asked about."""


def measured(database: Database, settings: Settings, encoder_id: str | None, k: int) -> dict[str, Any]:
    """How long the search alone takes in this process, asked about members spread over the index.

    Returns:
        `encoder`, `index`, `features`, `k`, `open_ms`, `median_ms`, `slowest_ms`. Of an exact index also
        `measured`, distances a query, and `codes_part`; of an approximate one `recall`, the share of the true k
        nearest others that it found, and `exact_median_ms`, the time of the exact index in the same process.

    Raises:
        cbmir.errors.NotFound, cbmir.errors.BrokenFile: as `cbmir.services.retrieval.indexes.report.verify`.
        cbmir.errors.EmptyGallery: if the index holds nothing.
        cbmir.errors.BadRequest, cbmir.errors.Unavailable: if the backend cannot be used.
    """
    backend = check(database, settings)
    with database.read() as session:
        encoder = encoders.resolve(session, encoder_id)
        start = time.perf_counter()
        index = index_files.opened(session, encoder, settings).index
        opening = time.perf_counter() - start
        if not len(index):
            raise EmptyGallery("The index holds nothing.", _remedy(session, encoder.id))
        asked = backend.sample(index, ASKED)
        members = None if index.is_exact else features.members_of(session, encoder)
    told = {"encoder": encoder.id, "index": backend.name, "features": len(index), "k": k, "open_ms": 1e3 * opening}
    if isinstance(index, ExactIndex):
        return told | _exactly(index, asked[1], k)
    times = _times(asked[1], lambda query: index.search(query, k))
    told |= {"median_ms": float(np.median(times)), "slowest_ms": max(times)}
    return told if members is None else told | _beside(index, asked, members, k)


def _remedy(session: Session, encoder_id: str) -> str:
    return "Run `cbmir index build`." if features.count(session, encoder_id) else "Run `cbmir extract`."


def _exactly(index: ExactIndex, queries: FloatArray, k: int) -> dict[str, Any]:
    touched = Touched()
    times = _times(queries, lambda query: index.search(query, k, touched=touched))
    asked = len(queries) + 1  # the first one is asked twice
    return {
        "median_ms": float(np.median(times)),
        "slowest_ms": max(times),
        "measured": touched.measured / asked,
        "codes_part": touched.codes / asked / index.cells.codes.size,
    }


def _beside(index: Index, asked: tuple[IdArray, FloatArray], members: features.Members, k: int) -> dict[str, Any]:
    truth = Truth(*asked, k)
    truth.take(members.frame_ids, np.ascontiguousarray(members.vectors))
    true = exact.build(members.frame_ids, members.vectors)
    times = _times(asked[1], lambda query: true.search(query, k))
    return {"recall": truth.recall(index), "exact_median_ms": float(np.median(times))}


def _times(queries: FloatArray, search: Callable[[FloatArray], list[Ranking]]) -> list[float]:
    """Milliseconds of each query's search; the first is made once before, as it loads machine code."""
    search(queries[:1])
    times = []
    for query in queries:
        start = time.perf_counter()
        search(query[np.newaxis])
        times.append(1e3 * (time.perf_counter() - start))
    return times
