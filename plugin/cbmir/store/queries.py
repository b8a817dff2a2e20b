"""Questions asked of the gallery, with their answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from cbmir.errors import NotFound
from cbmir.store.tables import Query


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
    """
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
