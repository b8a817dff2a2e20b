"""Old searches go where the installation says so, with the pictures that were handed in for them alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import product

import numpy as np
import pytest

from cbmir.pictures.shelf import Shelf
from cbmir.services.retrieval.forgetting import UNANSWERED_KEPT_DAYS, forget_old
from cbmir.settings import Settings
from cbmir.store import encoders, jobs, queries
from cbmir.store.session import Database
from cbmir.store.tables import Frame, Group, Instance, Job, Query, now
from cbmir.types import JobKind


def asked(database: Database, picture: str, days_ago: float, kind: JobKind = JobKind.RETRIEVE) -> str:
    """A search, or an explanation, that ended so many days ago."""
    with database.write() as session:
        job = jobs.create(session, kind, {})
        jobs.claim(session, job.id)
        jobs.succeed(session, job.id, {})
        job = jobs.get(session, job.id)
        job.finished_at = now() - timedelta(days=days_ago)
        if kind is JobKind.RETRIEVE:
            queries.save(
                session, job_id=job.id, encoder_id="net", picture=picture, frame_id=None, k=1, where={}, hits=[]
            )
        return job.id


@pytest.mark.parametrize("days", [0, 30])
def test_old_searches_go(any_database: Database, settings: Settings, days: int) -> None:
    shelf = Shelf(settings.pictures)
    old, young, shown = (shelf.put(np.full((9, 9), value, np.uint8)) for value in range(3))
    with any_database.write() as session:
        encoders.add(
            session, id="net", architecture="none", weights_file="", weights_sha256="0" * 64, dimension=4,
            preprocessing={}, training={}, metrics={},
        )  # fmt: skip
        frame = Frame(frame_number=1, picture=shown, rows=9, columns=9, pipeline="test")
        session.add(Instance(group=Group(key="p"), file_name="a", sha256="0" * 64, frames=[frame]))
    gone = [asked(any_database, picture, 31) for picture in (old, young, shown)]
    gone.append(asked(any_database, "", 31, JobKind.EXPLAIN))
    kept = [asked(any_database, young, 29), asked(any_database, "", 31, JobKind.EVALUATE)]
    assert forget_old(any_database, replace(settings, queries_kept_days=days)) == (3 if days else 0)
    with any_database.read() as session:
        assert [job_id for job_id in (*gone, *kept) if session.get(Job, job_id)] == (kept if days else gone + kept)
        assert [bool(session.get(Query, job_id)) for job_id in (gone[0], kept[0])] == [not days, True]
    assert [shelf.has(picture) for picture in (old, young, shown)] == [not days, True, True]


def test_a_search_without_an_answer_goes_when_it_can_no_longer_be_retried(
    any_database: Database, settings: Settings
) -> None:
    """What was asked about stands in its parameters."""
    kept = []
    for days, cancelled in product((1, -1), (False, True)):
        with any_database.write() as session:
            job = jobs.create(session, JobKind.RETRIEVE, {"sop_instance_uid": "1.2.3"})
            jobs.claim(session, job.id)
            jobs.cancelled(session, job.id) if cancelled else jobs.fail(session, job.id, "not-found", "No.")
            jobs.get(session, job.id).finished_at = now() - timedelta(days=UNANSWERED_KEPT_DAYS + days)
            kept += [job.id] * (days < 0)
    assert forget_old(any_database, settings) == 2
    with any_database.read() as session:
        assert {job.id for job in jobs.listing(session)} == set(kept)
