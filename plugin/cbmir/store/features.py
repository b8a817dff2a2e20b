"""Feature vectors: float32, little endian, kept bit for bit."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt
from sqlalchemy import ColumnElement, delete, exists, func, select, update
from sqlalchemy.orm import Session, aliased

from cbmir.errors import EncoderMismatch, EncoderNotReady
from cbmir.store import encoders
from cbmir.store.filters import Where
from cbmir.store.tables import Encoder, Feature, Frame, Instance
from cbmir.store.writing import in_pieces, insert
from cbmir.types import FloatArray

STORED = np.dtype("<f4")
ROWS_AT_ONCE = 10_000


def missing_frames(
    session: Session, encoder_id: str, *, after: int, limit: int, up_to: int | None = None
) -> list[tuple[int, str]]:
    """Up to `limit` frames above id `after`, and not above `up_to` if it is given, that lack a feature of this
    encoder: (id, picture key) by id."""
    statement = (
        select(Frame.id, Frame.picture)
        .where(Frame.id > after, _lacks_feature(encoder_id))
        .order_by(Frame.id)
        .limit(limit)
    )
    if up_to is not None:
        statement = statement.where(Frame.id <= up_to)
    return [(frame_id, picture) for frame_id, picture in session.execute(statement)]


def count_missing(session: Session, encoder_id: str) -> int:
    """Frames without a feature of this encoder: all, less its features, of which each has a frame of its own."""
    frames = select(func.count()).select_from(Frame).scalar_subquery()
    having = select(func.count()).where(Feature.encoder_id == encoder_id).scalar_subquery()
    return session.scalar(select(frames - having)) or 0


def count_lacking(session: Session, encoder_id: str, beside: str) -> int:
    """Frames that have a feature of the encoder `beside` and none of `encoder_id`."""
    if count_missing(session, encoder_id) <= 0:
        return 0
    ours = aliased(Feature)
    there = exists().where(ours.encoder_id == encoder_id, ours.frame_id == Feature.frame_id)
    return session.scalar(select(func.count()).where(Feature.encoder_id == beside, ~there)) or 0


def free(session: Session, encoder_id: str, limit: int) -> int:
    """Delete up to `limit` features of an encoder that is no longer kept; how many that were.

    Raises:
        cbmir.errors.EncoderNotReady: if they are kept: somebody wants them (again).
    """
    freed = update(Encoder).where(Encoder.id == encoder_id, ~Encoder.kept)
    if not session.scalar(freed.values(generation=Encoder.generation + 1).returning(Encoder.id)):
        raise EncoderNotReady(f"The features of the encoder {encoder_id} are wanted again: they are not freed.")
    some = select(Feature.id).where(Feature.encoder_id == encoder_id).limit(limit)
    return len(session.scalars(delete(Feature).where(Feature.id.in_(some)).returning(Feature.id)).all())


def newest_frame(session: Session, encoder_id: str) -> int:
    """The highest id of a frame that has a feature of this encoder, 0 if none has; the index knows it."""
    return session.scalar(select(func.max(Feature.frame_id)).where(Feature.encoder_id == encoder_id)) or 0


def count(session: Session, encoder_id: str) -> int:
    """Features of this encoder."""
    return session.scalar(select(func.count()).where(Feature.encoder_id == encoder_id)) or 0


def pipelines(session: Session, encoder_id: str) -> dict[str, int]:
    """How many features of this encoder there are by the conversion that made their pictures."""
    counts = select(Feature.pipeline, func.count()).where(Feature.encoder_id == encoder_id)
    rows = session.execute(counts.group_by(Feature.pipeline).order_by(Feature.pipeline))
    return {pipeline: count for pipeline, count in rows}  # noqa: C416 - rows are no pairs to the type checker


def frame_ids_made_by(session: Session, encoder_id: str, made_by: Collection[str]) -> npt.NDArray[np.int64]:
    """Frames whose features are of pictures that one of these conversions made: int64 [m], ascending."""
    if not made_by:
        return np.empty(0, np.int64)
    statement = (
        select(Feature.frame_id)
        .where(Feature.encoder_id == encoder_id, Feature.pipeline.in_(made_by))
        .order_by(Feature.frame_id)
        .execution_options(yield_per=ROWS_AT_ONCE)
    )
    return np.fromiter(session.scalars(statement), np.int64)


def add_batch(session: Session, encoder: Encoder, frame_ids: Sequence[int], vectors: FloatArray) -> int:
    """Store the features of these frames; one stored already stays, a frame deleted meanwhile is passed over.

    Args:
        session: one that writes.
        encoder: whose features they are.
        frame_ids: n row ids.
        vectors: float32 [n, dimension], finite.

    Returns:
        How many were new; the encoder's generation grows if any was.

    Raises:
        cbmir.errors.EncoderMismatch: if the shape is another, or a number is not finite.
        cbmir.errors.EncoderNotReady: if the encoder was deleted meanwhile, or its features are being freed.
    """
    _check(encoder, frame_ids, vectors)
    alive = select(Frame.id, Frame.pipeline).where(Frame.id.in_(frame_ids))
    locked = session.execute(alive.with_for_update(read=True, key_share=True))
    made_by = {row.id: row.pipeline for row in locked}
    rows = [
        {"encoder_id": encoder.id, "frame_id": frame_id, "vector": vector.tobytes(), "pipeline": made_by[frame_id]}
        for frame_id, vector in zip(frame_ids, vectors.astype(STORED, copy=False), strict=True)
        if frame_id in made_by
    ]
    added = insert_vectors(session, rows)
    if added:
        bump(session, encoder.id)
    return added


def insert_vectors(session: Session, rows: Sequence[dict[str, object]]) -> int:
    """Insert checked rows of encoder_id, frame_id, vector and pipeline; how many were new."""
    if not rows:
        return 0
    statement = insert(session, Feature).on_conflict_do_nothing().returning(Feature.id)
    return len(session.scalars(statement, rows).all())


def bump(session: Session, encoder_id: str) -> None:
    """Tell every cached index that this encoder has new features.

    Raises:
        cbmir.errors.EncoderNotReady: if they are not wanted: the encoder was deleted, or its features are being
            freed. What the session wrote is then to be rolled back.
    """
    wanted = update(Encoder).where(Encoder.id == encoder_id, Encoder.kept)
    if not session.scalar(wanted.values(generation=Encoder.generation + 1).returning(Encoder.id)):
        raise EncoderNotReady(
            f"Features of the encoder {encoder_id} are no longer wanted: it was deleted, or they were freed.",
            f"Run `cbmir extract --encoder {encoder_id}` to have them again.",
        )


def matrix(session: Session, encoder_id: str) -> tuple[npt.NDArray[np.int64], FloatArray]:
    """All features of an encoder: frame ids int64 [n], ascending, and vectors float32 [n, dimension].

    Read the encoder's generation before: features added in between are then read again, never missed.

    Raises:
        cbmir.errors.NotFound: if there is no such encoder.
        cbmir.errors.EncoderMismatch: if a stored vector is not of the encoder's dimension.
    """
    dimension = encoders.get(session, encoder_id).dimension
    statement = (
        select(Feature.frame_id, Feature.vector)
        .where(Feature.encoder_id == encoder_id)
        .order_by(Feature.frame_id)
        .execution_options(yield_per=ROWS_AT_ONCE)
    )
    frame_ids, vectors = array("q"), bytearray()
    for rows in session.execute(statement).partitions():
        frame_ids.extend(row.frame_id for row in rows)
        vectors += b"".join(row.vector for row in rows)
    if len(vectors) != len(frame_ids) * dimension * STORED.itemsize:
        raise EncoderMismatch(f"Stored features of {encoder_id} are not of its {dimension} numbers.")
    matrix = np.frombuffer(vectors, STORED).astype(np.float32, copy=False)
    return np.array(frame_ids, np.int64), matrix.reshape(len(frame_ids), dimension)


def vector(session: Session, encoder_id: str, frame_id: int) -> FloatArray | None:
    """The feature of one frame, float32 [dimension]; None if it is not extracted."""
    statement = select(Feature.vector).where(Feature.encoder_id == encoder_id, Feature.frame_id == frame_id)
    stored = session.scalar(statement)
    return None if stored is None else np.frombuffer(stored, STORED).astype(np.float32)


def vectors(session: Session, encoder_id: str, frame_ids: Sequence[int]) -> dict[int, FloatArray]:
    """The features of these frames, float32 [dimension] each, by the frame's id; one without is absent."""
    found: dict[int, FloatArray] = {}
    for piece in in_pieces(frame_ids):
        statement = select(Feature.frame_id, Feature.vector)
        rows = session.execute(statement.where(Feature.encoder_id == encoder_id, Feature.frame_id.in_(piece)))
        found.update((row.frame_id, np.frombuffer(row.vector, STORED).astype(np.float32)) for row in rows)
    return found


def frame_ids_where(session: Session, encoder_id: str, where: Where) -> npt.NDArray[np.int64]:
    """Frames that the filter keeps and that have a feature of this encoder: int64 [m], ascending."""
    statement = (
        select(Feature.frame_id)
        .join(Frame, Frame.id == Feature.frame_id)
        .join(Instance, Instance.id == Frame.instance_id)
        .where(Feature.encoder_id == encoder_id, *where.clause())
        .order_by(Feature.frame_id)
        .execution_options(yield_per=ROWS_AT_ONCE)
    )
    return np.fromiter(session.scalars(statement), np.int64)


def _lacks_feature(encoder_id: str) -> ColumnElement[bool]:
    return ~exists().where(Feature.frame_id == Frame.id, Feature.encoder_id == encoder_id)


def _check(encoder: Encoder, frame_ids: Sequence[int], vectors: FloatArray) -> None:
    if vectors.shape != (len(frame_ids), encoder.dimension):
        raise EncoderMismatch(
            f"Features of shape {vectors.shape} do not fit {len(frame_ids)} frames of {encoder.id}, "
            f"which gives {encoder.dimension} numbers each."
        )
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if bad.size:
        raise EncoderMismatch(f"The feature of frame {frame_ids[bad[0]]} holds a number that is not finite.")
