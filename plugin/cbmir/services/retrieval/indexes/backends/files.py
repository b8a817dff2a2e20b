"""Indexes in files below the data folder: `exact`, and `hnsw`, which FAISS walks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from sqlalchemy.orm import Session

from cbmir.errors import NotFound
from cbmir.index import exact, extras, file, hnsw, hnsw_file
from cbmir.index.base import Index
from cbmir.index.exact import ExactIndex
from cbmir.index.hnsw import HnswIndex
from cbmir.index.recall import Truth, spread
from cbmir.index.stamp import REMEDY, Stamp
from cbmir.services.retrieval.indexes.backends.base import Mark, Piece
from cbmir.settings import Settings
from cbmir.store import features
from cbmir.store.tables import Encoder
from cbmir.types import FloatArray, IdArray


@dataclass(frozen=True)
class Files:
    """One file an encoder; see `backends.base.Backend`.

    Attributes:
        settings: the installation's.
        name: what `CBMIR_INDEX` calls it; also how its files end, but for `exact`.
        module: that writes and reads them.
        made: an index of ids and features.
    """

    settings: Settings
    name: str
    module: Any
    made: Callable[[IdArray, FloatArray], Index]
    lasts: bool = True

    def path(self, encoder_id: str) -> Path:
        """Where the file of an encoder is."""
        suffix = "index" if self.name == "exact" else self.name
        return self.settings.indexes / f"{quote(encoder_id, safe='')}.{suffix}"

    def check(self, session: Session) -> None:
        """See `Backend.check`."""
        if self.name == "hnsw":
            extras.needed("faiss", "hnsw")

    def mark(self, session: Session, encoder_id: str) -> Mark | None:
        """See `Backend.mark`: inode and time in nanoseconds."""
        try:
            found = self.path(encoder_id).stat()
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_mtime_ns

    def stamp(self, session: Session, encoder_id: str) -> Stamp:
        """See `Backend.stamp`; the arrays are not looked at."""
        found: Stamp = self.module.read_stamp(self.path(encoder_id), encoder_id)
        return found

    def read(self, session: Session, encoder_id: str) -> tuple[Stamp, Index]:
        """See `Backend.read`."""
        found: tuple[Stamp, Index] = self.module.read(self.path(encoder_id), encoder_id)
        return found

    def write(self, session: Session, encoder: Encoder) -> None:
        """See `Backend.write`."""
        self.module.write(self.path(encoder.id), *self.in_memory(session, encoder))

    def in_memory(self, session: Session, encoder: Encoder) -> tuple[Stamp, Index]:
        """What `write` would keep."""
        members = features.members_of(session, encoder)
        index = self.made(members.frame_ids, members.vectors)
        recall = None if index.is_exact else _recall(index, members.frame_ids, members.vectors)
        return Stamp(encoder.id, encoder.generation, tuple(sorted(members.pipelines)), recall), index

    def drop(self, session: Session, encoder_id: str) -> None:
        """See `Backend.drop`."""
        self.path(encoder_id).unlink(missing_ok=True)

    def size(self, session: Session, encoder_id: str) -> int:
        """See `Backend.size`.

        Raises:
            cbmir.errors.NotFound: if there is no file.
        """
        try:
            return self.path(encoder_id).stat().st_size
        except FileNotFoundError as error:
            raise NotFound(f"There is no index file {self.path(encoder_id).name}.", REMEDY) from error

    def sample(self, index: Index, count: int) -> Piece:
        """See `Backend.sample`."""
        ids, vectors = _held(index)
        rows = spread(len(ids), count)
        rows = index.rows[rows] if isinstance(index, ExactIndex) else rows
        return ids[rows], vectors[rows]

    def pieces(self, index: Index) -> Iterator[Piece]:
        """See `Backend.pieces`; there is one."""
        yield _held(index)


def exact_files(settings: Settings) -> Files:
    """The default: the true answer."""
    return Files(settings, "exact", file, exact.build)


def hnsw_files(settings: Settings) -> Files:
    """An approximate answer; the file says how good it is."""
    return Files(settings, "hnsw", hnsw_file, hnsw.build)


def _held(index: Index) -> Piece:
    if isinstance(index, ExactIndex):
        return index.cells.ids, index.cells.vectors
    if isinstance(index, HnswIndex):
        return index.ids, index.vectors
    raise TypeError(f"{type(index).__name__} is kept in no file.")


def _recall(index: Index, ids: IdArray, vectors: FloatArray) -> float:
    some = spread(len(ids))
    truth = Truth(ids[some], vectors[some])
    truth.take(ids, np.ascontiguousarray(vectors))
    return truth.recall(index)
