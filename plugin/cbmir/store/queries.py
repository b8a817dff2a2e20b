"""Questions asked of the gallery, with their answers."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Text, cast, delete, false, or_, select
from sqlalchemy.orm import Session

from cbmir.errors import NotFound
from cbmir.store import encoders, frames
from cbmir.store.tables import Instance, Job, Query
from cbmir.store.writing import in_pieces
from cbmir.types import JobKind, JobState

HIT_LISTS: Sequence[str] = ("hits", "priors")
"""Parts of an answer that list images."""

LIKE_AT_ONCE = 100
"""Words that one statement looks for in results: SQLite bounds how deep a condition is."""


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
    uids = {each.sop_instance_uid for each in instances if each.sop_instance_uid}
    gone = {frame.id for each in instances for frame in each.frames}
    pictures: set[str] = set()
    about = _unanswered(session, uids, gone)
    for job, query in _telling_of(session, instances):
        result = job.result or {}
        if query.frame_id in gone or result.get("query", {}).get("sop_instance_uid") in uids:
            pictures.add(query.picture)
            about.append(job.id)
        else:
            query.hits = _without(query.hits, gone)
            job.result = {**result, **{name: _without(result.get(name, []), gone) for name in HIT_LISTS}}
    session.flush()
    for some in in_pieces(about):
        explains = Job.kind == JobKind.EXPLAIN, Job.parameters["query"].as_string().in_(some)
        session.execute(delete(Job).where(*explains))
        session.execute(delete(Job).where(Job.id.in_(some)))  # with its answer
    for words in _words(instances):
        session.execute(delete(Job).where(Job.kind == JobKind.EXPLAIN, _result_has(words)))
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


def forget_unanswered(session: Session, before: datetime) -> int:
    """Delete the searches that ended before this moment without an answer; what was handed in for them is gone.

    Returns:
        How many.
    """
    return len(session.scalars(delete(Job).where(*_UNANSWERED, Job.finished_at < before).returning(Job.id)).all())


_UNANSWERED = Job.kind == JobKind.RETRIEVE, Job.state.in_((JobState.FAILED, JobState.CANCELLED))
"""Of searches that wait for a retry, if anybody wants one: their parameters name what was asked about."""


def _unanswered(session: Session, uids: Collection[str], gone: Collection[int]) -> list[str]:
    """The searches about one of these that ended without an answer, by their jobs' ids."""
    asked = [(job.id, job.parameters) for job in session.scalars(select(Job).where(*_UNANSWERED))]
    return [id for id, of in asked if of.get("sop_instance_uid") in uids or of.get("frame_id") in gone]


def _telling_of(session: Session, instances: Sequence[Instance]) -> list[tuple[Job, Query]]:
    """The answered questions that name one of the instances, or are about one."""
    rows = select(Job, Query).join(Query, Query.job_id == Job.id).where(Job.kind == JobKind.RETRIEVE)
    found = [row for words in _words(instances) for row in session.execute(rows.where(_result_has(words)))]
    return list({job.id: (job, query) for job, query in found}.values())


def _words(instances: Sequence[Instance]) -> Iterator[list[str]]:
    """What a result holds that tells of one of these, some at a time: its study's UID, else its own, else the ids
    of its frames. The studies are fewer than the objects; a picture has no UID."""
    words = {word for each in instances for word in _words_of(each)}
    return in_pieces(sorted(words), LIKE_AT_ONCE)


def _words_of(instance: Instance) -> set[str]:
    uid = instance.study_instance_uid or instance.sop_instance_uid
    return {uid} if uid else {f'"frame_id": {frame.id},' for frame in instance.frames}


def _result_has(words: Sequence[str]) -> ColumnElement[bool]:
    return or_(false(), *(cast(Job.result, Text).contains(word, autoescape=True) for word in words))


def _without(hits: Sequence[Any], gone: Collection[int]) -> list[Any]:
    return [hit for hit in hits if hit["frame_id"] not in gone]
