"""Indexes in the PostgreSQL database itself: a table of pgvector's for each encoder, filtered in SQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial

import numpy as np
import numpy.typing as npt
import orjson
from sqlalchemy import Engine, Table
from sqlalchemy.orm import Session

from cbmir.errors import BadRequest, BrokenFile, EncoderMismatch, NotFound, Unavailable
from cbmir.index import checks
from cbmir.index.base import Index, Ranking
from cbmir.index.ranking import ranked
from cbmir.index.recall import SAMPLE, Truth
from cbmir.index.stamp import REMEDY, Stamp
from cbmir.services.retrieval.indexes.backends.base import Mark, Piece
from cbmir.store import features, vector_search, vector_tables, writing
from cbmir.store.filters import Where
from cbmir.store.tables import Encoder
from cbmir.types import FloatArray, IdArray

BREADTH = 128
"""Nearest members that a walk keeps in mind at least."""
LARGEST_BREADTH = 1_000
"""And at most, which is pgvector's own bound; more are found by looking at all."""
FEW = 20_000
"""So many members that a filter keeps are measured one by one."""
SPARE = 16
"""Candidates beyond k, which the database orders by distances in float32."""
ROWS_AT_ONCE = 10_000


@dataclass(frozen=True)
class PgvectorIndex:
    """An encoder's table; see `cbmir.index.base.Index`.

    Attributes:
        session: gives one that reads the table's database.
        table: the encoder's.
        generation: up to which members count: a table that was made anew meanwhile has newer ones.
        filter: that searches among many ids stand for.
    """

    session: Callable[[], AbstractContextManager[Session]]
    table: Table
    generation: int
    filter: Where | None = None
    is_exact: bool = False

    @property
    def dimension(self) -> int:
        """Numbers in one feature."""
        return vector_tables.width_of(self.table)

    @cached_property
    def _count(self) -> int:
        with self.session() as session:
            return vector_search.count(session, self.table, self.generation)

    def __len__(self) -> int:
        return self._count

    def members(self) -> IdArray:
        """See `cbmir.index.base.Index.members`."""
        with self.session() as session:
            return vector_search.ids(session, self.table, self.generation)

    def contains(self, ids: IdArray) -> npt.NDArray[np.bool_]:
        """See `cbmir.index.base.Index.contains`."""
        if not len(ids):
            return np.zeros(0, np.bool_)
        with self.session() as session:
            return np.isin(ids, vector_search.ids(session, self.table, self.generation, ids))

    def by(self, where: Where) -> Index:
        """See `backends.base.Filtering.by`."""
        return replace(self, filter=where)

    def search(self, queries: FloatArray, k: int, allowed: IdArray | None = None) -> list[Ranking]:
        """See `cbmir.index.base.Index.search`."""
        asked, k = np.ascontiguousarray(checks.queries(queries, self.dimension)), checks.wanted(k)
        among = None if allowed is None else np.asarray(allowed, np.int64)
        count = len(self) if among is None else min(len(self), len(among))
        if not count:
            return [[] for _ in asked]
        with self.session() as session:
            return [self._nearest(session, query, min(k, count), count, among) for query in asked]

    def _nearest(self, session: Session, query: FloatArray, k: int, count: int, among: IdArray | None) -> Ranking:
        """By the graph; where that gives fewer than there are, by looking at all."""
        look = partial(vector_search.nearest, session, self.table, query, k + SPARE, until=self.generation)
        if count > FEW and self.filter is not None and among is not None:
            look, among = partial(look, where=self.filter), None
        breadth = max(BREADTH, 2 * k)
        if count > FEW and breadth <= LARGEST_BREADTH:
            found = look(breadth=breadth, among=among)
            if len(found[0]) >= k:
                return ranked(*found, query, k)
        return ranked(*look(breadth=None, among=among), query, k)


@dataclass(frozen=True)
class Pgvector:
    """One table an encoder; see `backends.base.Backend`."""

    name: str = "pgvector"
    lasts: bool = True  # a table made anew has all that the old one had, less what was dropped since

    def check(self, session: Session) -> None:
        """See `Backend.check`; it makes the extension in this database, if it may."""
        if writing.is_sqlite(session):
            raise BadRequest(
                "CBMIR_INDEX=pgvector needs PostgreSQL, and this database is SQLite.",
                "Set CBMIR_DATABASE_URL to a PostgreSQL, or choose exact or hnsw.",
            )
        offered = vector_tables.version(session)
        if offered is None or offered < vector_tables.OLDEST:
            raise Unavailable(
                f"This PostgreSQL server has {'no' if offered is None else 'too old an'} extension `vector`.",
                "Install pgvector 0.8 or newer on it, or choose another CBMIR_INDEX.",
            )
        with vector_tables.writing(_engine(session)) as own:
            vector_tables.prepare(own)

    def mark(self, session: Session, encoder_id: str) -> Mark | None:
        """See `Backend.mark`: the table's object id."""
        found = vector_tables.note(session, vector_tables.table_of(encoder_id, 1))
        return None if found is None else (found[0], 0)

    def stamp(self, session: Session, encoder_id: str) -> Stamp:
        """See `Backend.stamp`."""
        found = vector_tables.note(session, vector_tables.table_of(encoder_id, 1))
        if found is None:
            raise NotFound(f"There is no index of {encoder_id} in the database.", REMEDY)
        try:
            return Stamp.from_json(orjson.loads(found[1] or ""))
        except (ValueError, KeyError, TypeError) as error:
            raise BrokenFile("The index in the database does not say what it was made from.", REMEDY) from error

    def read(self, session: Session, encoder_id: str) -> tuple[Stamp, Index]:
        """See `Backend.read`."""
        stamp = self.stamp(session, encoder_id)
        width = vector_tables.dimension_of(session, vector_tables.table_of(encoder_id, 1))
        reading = partial(vector_tables.reading, _engine(session))
        return stamp, PgvectorIndex(reading, vector_tables.table_of(encoder_id, width), stamp.generation)

    def write(self, session: Session, encoder: Encoder) -> None:
        """See `Backend.write`: all in one transaction; the others wait for its last moment alone."""
        self.check(session)
        if encoder.dimension > vector_tables.WIDEST:
            raise EncoderMismatch(
                f"pgvector searches features of {vector_tables.WIDEST:,} numbers at most; {encoder.id} gives "
                f"{encoder.dimension:,}.",
                "Choose CBMIR_INDEX=exact or hnsw.",
            )
        with vector_tables.writing(_engine(session)) as own:
            draft = vector_tables.begin(own, encoder.id, encoder.dimension)
            pipelines = _filled(own, draft, features.pieces_of(session, encoder))
            vector_tables.finish(own, draft)
            recall = _recall(session, own, encoder, draft)
            stamp = Stamp(encoder.id, encoder.generation, tuple(sorted(pipelines)), recall)
            place = vector_tables.table_of(encoder.id, encoder.dimension)
            vector_tables.replace(own, place, draft, orjson.dumps(asdict(stamp)).decode())

    def drop(self, session: Session, encoder_id: str) -> None:
        """See `Backend.drop`."""
        with vector_tables.writing(_engine(session)) as own:
            vector_tables.drop(own, vector_tables.table_of(encoder_id, 1))

    def size(self, session: Session, encoder_id: str) -> int:
        """See `Backend.size`."""
        return vector_tables.size(session, vector_tables.table_of(encoder_id, 1))

    def sample(self, index: Index, count: int) -> Piece:
        """See `Backend.sample`."""
        ours = _own(index)
        with ours.session() as session:
            return vector_search.sample(session, ours.table, count)

    def pieces(self, index: Index) -> Iterator[Piece]:
        """See `Backend.pieces`."""
        ours = _own(index)
        with ours.session() as session:
            yield from vector_search.pieces(session, ours.table, ROWS_AT_ONCE)


def _engine(session: Session) -> Engine:
    return session.get_bind().engine


def _own(index: Index) -> PgvectorIndex:
    if not isinstance(index, PgvectorIndex):
        raise TypeError(f"{type(index).__name__} is in no table.")
    return index


def _filled(own: Session, draft: Table, pieces: Iterator[features.Piece]) -> set[str]:
    """Put all features into the draft; the conversions that made their pictures."""
    pipelines: set[str] = set()
    for piece in pieces:
        vector_tables.fill(own, draft, piece.frame_ids, piece.generations, piece.vectors)
        pipelines |= piece.pipelines
    return pipelines


def _recall(session: Session, own: Session, encoder: Encoder, draft: Table) -> float:
    truth = Truth(*vector_search.sample(own, draft, SAMPLE))
    for piece in features.pieces_of(session, encoder):
        truth.take(piece.frame_ids, piece.vectors)
    return truth.recall(PgvectorIndex(lambda: nullcontext(own), draft, encoder.generation))
