"""Which image of which kept answer is to be explained."""

from __future__ import annotations

from sqlalchemy.orm import Session

from cbmir.errors import NotFound
from cbmir.store import frames, instances, queries
from cbmir.store.tables import Frame, Job, Query


def hit_of(session: Session, query: str, frame_id: int, *, hold: bool = False) -> tuple[Query, Frame]:
    """A kept question and the frame that its answer has at this id, hit or prior image.

    Args:
        session: one that writes, if they are to be held.
        query: id of the job that answered.
        frame_id: the hit's frame.
        hold: whether both, and the image asked about, stay until the session ends.

    Raises:
        cbmir.errors.NotFound: if there is no such answer, or no such image in it (any more).
    """
    asked = queries.get(session, query)
    if hold:
        frames.held(session, {frame_id, asked.frame_id or frame_id})
        session.expire(asked)
        asked = queries.get(session, query)
    priors = (session.get_one(Job, query).result or {}).get("priors", [])
    if frame_id not in {hit["frame_id"] for hit in (*asked.hits, *priors)}:
        raise NotFound(f"The answer has no image {frame_id}.", "Choose one of its hits.")
    return asked, instances.frame(session, frame_id)
