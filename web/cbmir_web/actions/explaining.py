"""From a hit to the job that explains it."""

from __future__ import annotations

from cbmir.services.retrieval.explaining.kept import hit_of
from cbmir.store import jobs
from cbmir.store.tables import Job
from cbmir.types import JobKind
from cbmir_web.installation import Installation

LOOKED_THROUGH = 200
"""Explanations among which the same one is looked for."""


def enqueue(here: Installation, query: str, frame_id: int) -> Job:
    """Queue the explanation of a hit; where the same was asked before and did not fail, that one.

    Args:
        here: the installation.
        query: id of the job that answered.
        frame_id: of the hit.

    Raises:
        cbmir.errors.NotFound: if there is no such answer, or no such hit in it.
    """
    wanted = {"query": query, "frame_id": frame_id}
    with here.database.read() as session:
        hit_of(session, query, frame_id)
        same = jobs.asked(session, JobKind.EXPLAIN, wanted, LOOKED_THROUGH)
    return same or here.enqueue(JobKind.EXPLAIN, wanted)
