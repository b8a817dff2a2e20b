"""Questions asked of the gallery, with their answers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Text, cast, delete, false, or_, select
from sqlalchemy.orm import Session

from cbmir.errors import NotFound
from cbmir.store import encoders, frames
from cbmir.store.tables import Instance, Job, Query
from cbmir.types import JobKind

HIT_LISTS: Sequence[str] = ("hits", "priors")
"""Parts of an answer that list images."""


def save(
    session: Session,
    *,
    job_id: str,
    encoder_id: str,
    picture: str,
    frame_id: int | None,
    k: int,
    where: Mapping[str, Any],
    hits: Sequence[Mapping[str, Any]],
) -> Query:
    """Keep the answer of a retrieval job; a repeated job replaces its answer.

    Args:
        session: one that writes.
        job_id: of the job that asked.
        encoder_id: whose features were compared.
        picture: key of the query's picture.
        frame_id: the gallery's frame that was asked about, if it was one.
        k: how many hits were asked for.
        where: `Where.as_json` of the filter.
        hits: `Hit.as_json` of each.

    Raises:
        cbmir.errors.NotFound: if the encoder was deleted while it answered.
    """
    encoders.get(session, encoder_id)
    row = Query(
        job_id=job_id,
        encoder_id=encoder_id,
        picture=picture,
        frame_id=frame_id,
        k=k,
        where=dict(where),
        hits=[dict(hit) for hit in hits],
    )
    row = session.merge(row)
    session.flush()
    return row


def of_today(session: Session, result: Mapping[str, Any]) -> dict[str, Any]:
    """An answer without the images that were deleted while it was given; those left stay until the session ends.

    Raises:
        cbmir.errors.NotFound: if the image that was asked about was deleted.
    """
    asked = result["query"]["frame_id"]
    named = {hit["frame_id"] for name in HIT_LISTS for hit in result.get(name, [])}
    there = frames.held(session, named | ({asked} - {None}))
    if asked is not None and asked not in there:
        raise NotFound("The image that was asked about was deleted meanwhile.")
    kept = {name: [hit for hit in result.get(name, []) if hit["frame_id"] in there] for name in HIT_LISTS}
    return {**result, **kept}


def get(session: Session, job_id: str) -> Query:
    """The question of this job, answered.

    Raises:
        cbmir.errors.NotFound: if the job has no answer.
    """
    row = session.get(Query, job_id)
    if row is None:
        raise NotFound("There is no such query.")
    return row


def recent(session: Session, limit: int = 20) -> list[Query]:
    """The last questions, newest first."""
    return list(session.scalars(select(Query).order_by(Query.created_at.desc(), Query.job_id).limit(limit)))


def forget(session: Session, instances: Sequence[Instance]) -> set[str]:
    """Let no question and no answer tell of these instances, which are about to be deleted.

    Questions about one of them go, with their jobs; from other answers its hits are taken. Explanations that show
    one of them go too.

    Returns:
        Keys of the pictures that the questions showed.
    """
    uids = {each.sop_instance_uid for each in instances}
    gone = {frame.id for each in instances for frame in each.frames}
    pictures: set[str] = set()
    session.execute(delete(Job).where(Job.kind == JobKind.EXPLAIN, *_named(instances)))
    for job, query in _telling_of(session, instances):
        result = job.result or {}
        if query.frame_id in gone or result.get("query", {}).get("sop_instance_uid") in uids:
            pictures.add(query.picture)
            session.execute(delete(Query).where(Query.job_id == job.id))
            session.execute(delete(Job).where(Job.id == job.id))
        else:
            query.hits = _without(query.hits, gone)
            job.result = {**result, **{name: _without(result.get(name, []), gone) for name in HIT_LISTS}}
    session.flush()
    return pictures


def forget_old(session: Session, before: datetime) -> tuple[int, set[str]]:
    """Delete the searches and explanations that ended before this moment, well or not, with their answers.

    Returns:
        How many searches, and keys of the pictures that they showed.
    """
    old = Job.kind == JobKind.RETRIEVE, Job.finished_at < before
    pictures = set(session.scalars(select(Query.picture).join(Job, Job.id == Query.job_id).where(*old)))
    forgotten = session.scalars(delete(Job).where(*old).returning(Job.id)).all()  # their answers with them
    session.execute(delete(Job).where(Job.kind == JobKind.EXPLAIN, Job.finished_at < before))
    return len(forgotten), pictures


def _telling_of(session: Session, instances: Sequence[Instance]) -> list[tuple[Job, Query]]:
    """The answered questions that name one of the instances: found by their studies, which are fewer."""
    rows = select(Job, Query).join(Query, Query.job_id == Job.id)
    rows = rows.where(Job.kind == JobKind.RETRIEVE, *_named(instances))
    return [(job, query) for job, query in session.execute(rows)]


def _named(instances: Sequence[Instance]) -> list[ColumnElement[bool]]:
    """Conditions of jobs whose result names a study of these, or the object where it has none."""
    names = {each.study_instance_uid or each.sop_instance_uid or "" for each in instances} - {""}
    return [or_(false(), *(cast(Job.result, Text).contains(name, autoescape=True) for name in names))]


def _without(hits: Sequence[Any], gone: Collection[int]) -> list[Any]:
    return [hit for hit in hits if hit["frame_id"] not in gone]
