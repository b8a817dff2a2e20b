"""Feature vectors: float32, little endian, kept bit for bit."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import ColumnElement, delete, exists, func, select, update
from sqlalchemy.orm import Session, aliased

from cbmir.errors import BrokenFile, EncoderMismatch, EncoderNotReady
from cbmir.store import encoders
from cbmir.store.tables import DroppedFeature, Encoder, Feature, Frame
from cbmir.store.writing import in_pieces, insert
from cbmir.types import FloatArray, IdArray

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
    forget_history(session, encoder_id)  # the row is locked from here on
    if session.scalar(select(Encoder.kept).where(Encoder.id == encoder_id)) is not False:
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


def frame_ids_made_by(session: Session, encoder_id: str, made_by: Collection[str]) -> IdArray:
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
    made_by = _hold(session, frame_ids)
    return insert_vectors(
        session,
        encoder.id,
        [
            {"frame_id": frame_id, "vector": vector.tobytes(), "pipeline": made_by[frame_id]}
            for frame_id, vector in zip(frame_ids, vectors.astype(STORED, copy=False), strict=True)
            if frame_id in made_by
        ],
    )


def insert_vectors(session: Session, encoder_id: str, rows: Sequence[dict[str, Any]]) -> int:
    """Insert checked rows of frame_id, vector and pipeline; how many were new.

    The encoder's generation grows if any was, and the rows get it. From then on its row is locked: generations
    are seen by others in their order, so whoever has read one has read all before.
    """
    frame_ids = [row["frame_id"] for row in rows]
    alive = _hold(session, frame_ids)  # before the encoder's row, as whoever deletes frames does it
    stored = Feature.encoder_id == encoder_id, Feature.frame_id.in_(frame_ids)
    known = set(session.scalars(select(Feature.frame_id).where(*stored)))
    new = [row for row in rows if row["frame_id"] in alive and row["frame_id"] not in known]
    if not new:
        return 0
    stamp = {"encoder_id": encoder_id, "generation": bump(session, encoder_id)}
    statement = insert(session, Feature).on_conflict_do_nothing().returning(Feature.id)
    return len(session.scalars(statement, [{**row, **stamp} for row in new]).all())


def _hold(session: Session, frame_ids: Sequence[int]) -> dict[int, str]:
    """The conversion of each of these frames that is still there; it stays until this transaction ends."""
    frames = select(Frame.id, Frame.pipeline).where(Frame.id.in_(frame_ids)).order_by(Frame.id)
    locked = session.execute(frames.with_for_update(read=True, key_share=True))
    return {row.id: row.pipeline for row in locked}


def bump(session: Session, encoder_id: str) -> int:
    """Tell every index that this encoder has new features; their generation.

    Raises:
        cbmir.errors.EncoderNotReady: if they are not wanted: the encoder was deleted, or its features are being
            freed. What the session wrote is then to be rolled back.
    """
    wanted = update(Encoder).where(Encoder.id == encoder_id, Encoder.kept)
    grown = wanted.values(generation=Encoder.generation + 1).returning(Encoder.generation)
    generation = session.scalar(grown)
    if generation is None:
        raise EncoderNotReady(
            f"Features of the encoder {encoder_id} are no longer wanted: it was deleted, or they were freed.",
            f"Run `cbmir extract --encoder {encoder_id}` to have them again.",
        )
    return generation


def forget_history(session: Session, encoder_id: str) -> None:
    """For who deletes many features of an encoder at once: every index is built anew, not brought up to date."""
    grown = {"generation": Encoder.generation + 1, "followed_from": Encoder.generation + 1}
    session.execute(update(Encoder).where(Encoder.id == encoder_id).values(grown))
    session.execute(delete(DroppedFeature).where(DroppedFeature.encoder_id == encoder_id))


def matrix(session: Session, encoder_id: str) -> tuple[IdArray, FloatArray]:
    """All features of an encoder: frame ids int64 [n], ascending, and vectors float32 [n, dimension].

    Raises:
        cbmir.errors.NotFound: if there is no such encoder.
        cbmir.errors.EncoderMismatch: if a stored vector is not of the encoder's dimension.
    """
    members = members_of(session, encoders.get(session, encoder_id))
    return members.frame_ids, members.vectors


@dataclass(frozen=True)
class Members:
    """Features of one encoder.

    Attributes:
        frame_ids: int64 [n], ascending.
        vectors: float32 [n, dimension].
        pipelines: the conversions that made their pictures.
    """

    frame_ids: IdArray
    vectors: FloatArray
    pipelines: frozenset[str]


def members_of(session: Session, encoder: Encoder, after: int = -1) -> Members:
    """The features of the encoder's generations above `after`, up to the one that `encoder` was read with.

    Raises:
        cbmir.errors.EncoderMismatch: if a stored vector is not of the encoder's dimension.
    """
    statement = (
        select(Feature.frame_id, Feature.vector, Feature.pipeline)
        .where(*in_generations(Feature, encoder, after))
        .order_by(Feature.frame_id)
        .execution_options(yield_per=ROWS_AT_ONCE)
    )
    frame_ids, vectors, made_by = array("q"), bytearray(), set[str]()
    for rows in session.execute(statement).partitions():
        frame_ids.extend(row.frame_id for row in rows)
        vectors += b"".join(row.vector for row in rows)
        made_by.update(row.pipeline for row in rows)
    if len(vectors) != len(frame_ids) * encoder.dimension * STORED.itemsize:
        raise _of_another_width(encoder)
    matrix = np.frombuffer(vectors, STORED).astype(np.float32, copy=False)
    return Members(
        np.array(frame_ids, np.int64), matrix.reshape(len(frame_ids), encoder.dimension), frozenset(made_by)
    )


@dataclass(frozen=True)
class Piece(Members):
    """Some features of one encoder.

    Attributes:
        generations: int64 [n], in the order of the ids.
    """

    generations: IdArray


def pieces_of(session: Session, encoder: Encoder) -> Iterator[Piece]:
    """As `members_of`, of all generations, but never more than `ROWS_AT_ONCE` at a time.

    Raises:
        cbmir.errors.EncoderMismatch: if a stored vector is not of the encoder's dimension.
    """
    statement = (
        select(Feature.frame_id, Feature.vector, Feature.pipeline, Feature.generation)
        .where(*in_generations(Feature, encoder, -1))
        .order_by(Feature.frame_id)
        .execution_options(yield_per=ROWS_AT_ONCE)
    )
    for rows in session.execute(statement).partitions():
        data = b"".join(row.vector for row in rows)
        if len(data) != len(rows) * encoder.dimension * STORED.itemsize:
            raise _of_another_width(encoder)
        vectors = np.frombuffer(data, STORED).astype(np.float32).reshape(len(rows), encoder.dimension)
        ids, generations = (np.array([row[column] for row in rows], np.int64) for column in (0, 3))
        yield Piece(ids, vectors, frozenset(row.pipeline for row in rows), generations)


def _of_another_width(encoder: Encoder) -> EncoderMismatch:
    return EncoderMismatch(f"Stored features of {encoder.id} are not of its {encoder.dimension} numbers.")


def frame_ids(session: Session, encoder: Encoder, after: int = -1) -> IdArray:
    """Frames whose features are of the generations above `after`, up to the one that `encoder` was read with: int64
    [n], ascending."""
    some = select(Feature.frame_id).where(*in_generations(Feature, encoder, after)).order_by(Feature.frame_id)
    return np.fromiter(session.scalars(some.execution_options(yield_per=ROWS_AT_ONCE)), np.int64)


def dropped(session: Session, encoder: Encoder, after: int) -> IdArray:
    """Frames whose features went in the generations above `after`, up to the one that `encoder` was read with.

    Raises:
        cbmir.errors.BrokenFile: if not all of them are on record any more.
    """
    if after >= encoder.generation:
        return np.empty(0, np.int64)
    gone = select(DroppedFeature.frame_id).where(*in_generations(DroppedFeature, encoder, after))
    found = np.fromiter(session.scalars(gone.execution_options(yield_per=ROWS_AT_ONCE)), np.int64)
    # asked last: who has taken rows off the record since `encoder` was read has said so by now
    followed_from = session.scalar(select(Encoder.followed_from).where(Encoder.id == encoder.id))
    if followed_from is None or followed_from > after:
        raise BrokenFile(
            "The index is of a generation that the database cannot follow from.",
            "Build it anew: `cbmir index build`.",
        )
    return found


def went(session: Session, encoder_id: str, frame_ids: Collection[int], after: int) -> set[int]:
    """Those of some frames whose features went in the generations above `after`: up to now, as others may delete
    while an index is made."""
    own = DroppedFeature.encoder_id == encoder_id, DroppedFeature.generation > after
    return set(session.scalars(select(DroppedFeature.frame_id).where(*own, DroppedFeature.frame_id.in_(frame_ids))))


def forget_dropped(session: Session, encoder_id: str, up_to: int, keep: int) -> None:
    """Take off the record what went in the generations up to one, but for the `keep` features that went last.

    An index of an earlier generation cannot be told any more what went, and is made anew.
    """
    own = DroppedFeature.encoder_id == encoder_id
    by_age = select(DroppedFeature.generation).where(own).order_by(DroppedFeature.generation.desc())
    oldest_kept = session.scalar(by_age.offset(keep).limit(1))
    if oldest_kept is None:
        return
    last = min(up_to, oldest_kept - 1)
    earlier = Encoder.id == encoder_id, Encoder.followed_from < last
    session.execute(update(Encoder).where(*earlier).values(followed_from=last))
    session.execute(delete(DroppedFeature).where(own, DroppedFeature.generation <= last))


def count_until(session: Session, encoder_id: str, generation: int) -> int:
    """Features that were added up to a generation and are still there."""
    earlier = Feature.encoder_id == encoder_id, Feature.generation <= generation
    return session.scalar(select(func.count()).where(*earlier)) or 0


def vectors_of(session: Session, encoder_id: str, frame_ids: Sequence[int]) -> dict[int, bytes]:
    """The stored bytes of some frames' features; a frame without one is absent."""
    some = select(Feature.frame_id, Feature.vector)
    rows = session.execute(some.where(Feature.encoder_id == encoder_id, Feature.frame_id.in_(frame_ids)))
    return {row.frame_id: row.vector for row in rows}


def in_generations(
    table: type[Feature | DroppedFeature], encoder: Encoder, after: int
) -> tuple[ColumnElement[bool], ...]:
    """Rows of the encoder's generations above `after`, up to the one that `encoder` was read with."""
    own = table.encoder_id == encoder.id
    return own, table.generation > after, table.generation <= encoder.generation


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
