"""Indexes in a Milvus, for those who outgrow one machine: a collection for each encoder."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import orjson
from pymilvus import DataType, MilvusClient
from sqlalchemy.orm import Session

from cbmir.errors import BadRequest, BrokenFile, NotFound
from cbmir.index.base import Index
from cbmir.index.milvus import METRIC, MilvusIndex, translated, unpacked
from cbmir.index.recall import Truth, spread
from cbmir.index.stamp import REMEDY, Stamp
from cbmir.services.retrieval.indexes.backends.base import Mark, Piece
from cbmir.services.retrieval.indexes.backends.milvus_client import client_of
from cbmir.settings import Settings
from cbmir.store import features
from cbmir.store.tables import Encoder

PROPERTY = "cbmir"
"""Of a collection: its stamp, and the highest id in it, as JSON."""
NEIGHBOURS, BUILD_BREADTH = 16, 100
NUMBERS_AT_ONCE = 4_000_000
"""Sent in one message: a quarter of what a Milvus takes."""
FORGOTTEN_SECONDS = 24 * 60 * 60
"""After so long a collection that never was finished belongs to a process that has died."""


@dataclass(frozen=True)
class Milvus:
    """One collection an encoder, and an alias that says which; see `backends.base.Backend`."""

    settings: Settings
    name: str = "milvus"
    lasts: bool = False

    @property
    def client(self) -> MilvusClient:
        """Of the Milvus that the settings name.

        Raises:
            cbmir.errors.BadRequest: if they name none.
            cbmir.errors.Unavailable: if it does not answer.
        """
        if not self.settings.milvus_url:
            raise BadRequest(
                "CBMIR_INDEX=milvus needs a Milvus, and CBMIR_MILVUS_URL names none.",
                "Set it, such as http://milvus.example.org:19530.",
            )
        return client_of(self.settings.milvus_url)

    def check(self, session: Session) -> None:
        """See `Backend.check`."""
        with translated():
            self.client.list_collections()

    def mark(self, session: Session, encoder_id: str) -> Mark | None:
        """See `Backend.mark`: when it was made."""
        collection = self._collection(encoder_id)
        return None if collection is None else (_made_at(collection), 0)

    def stamp(self, session: Session, encoder_id: str) -> Stamp:
        """See `Backend.stamp`."""
        return self._told(self._present(encoder_id))[0]

    def read(self, session: Session, encoder_id: str) -> tuple[Stamp, Index]:
        """See `Backend.read`."""
        collection = self._present(encoder_id)
        return self._told(collection)[0], self._index(collection)

    def write(self, session: Session, encoder: Encoder) -> None:
        """See `Backend.write`: a new collection, which the alias then leads to."""
        self._clear_up(encoder.id)
        draft = f"{_alias(encoder.id)}_{time.time_ns():x}"
        with translated():
            try:
                self._make(draft, encoder.dimension)
                stamp, highest = self._fill(session, encoder, draft)
                self._tell(draft, stamp, highest)
                self._switch(encoder.id, draft)
            except BaseException:
                self.client.drop_collection(draft)
                raise

    def drop(self, session: Session, encoder_id: str) -> None:
        """See `Backend.drop`."""
        with translated():
            if self._collection(encoder_id) is not None:
                self.client.drop_alias(_alias(encoder_id))
            for collection in self._all(encoder_id):
                self.client.drop_collection(collection)

    def size(self, session: Session, encoder_id: str) -> int:
        """See `Backend.size`: of the vectors alone; what Milvus takes besides it does not say."""
        index = self._index(self._present(encoder_id))
        return len(index) * index.dimension * features.STORED.itemsize

    def sample(self, index: Index, count: int) -> Piece:
        """See `Backend.sample`."""
        ours, rows = _own(index), dict[int, Any]()
        with translated():
            for place in np.linspace(0, ours.highest, count).astype(np.int64).tolist():
                found = ours.client.query(
                    ours.collection, f"id >= {place}", output_fields=["id", "vector"], limit=1
                )
                rows.update({row["id"]: row for row in found})
        return unpacked([rows[each] for each in sorted(rows)], ours.dimension)

    def pieces(self, index: Index) -> Iterator[Piece]:
        """See `Backend.pieces`."""
        ours = _own(index)
        return (unpacked(rows, ours.dimension) for rows in ours.rows("id", "vector"))

    def _make(self, collection: str, dimension: int) -> None:
        schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dimension)
        graph = self.client.prepare_index_params()
        how = {"M": NEIGHBOURS, "efConstruction": BUILD_BREADTH}
        graph.add_index("vector", index_type="HNSW", metric_type=METRIC, params=how)
        self.client.create_collection(collection, schema=schema, index_params=graph, consistency_level="Strong")

    def _fill(self, session: Session, encoder: Encoder, draft: str) -> tuple[Stamp, int]:
        """Put all features in; what they are, and the highest id."""
        pipelines, highest, count = set[str](), 0, 0
        asked = spread(features.count_until(session, encoder.id, encoder.generation))
        chosen: list[Piece] = []
        for piece in features.pieces_of(session, encoder):
            self._insert(draft, piece)
            rows = asked[(asked >= count) & (asked < count + len(piece.frame_ids))] - count
            chosen.append((piece.frame_ids[rows], piece.vectors[rows]))
            count, highest = count + len(piece.frame_ids), int(piece.frame_ids[-1])
            pipelines |= piece.pipelines
        self.client.flush(draft)
        self.client.load_collection(draft)
        index = MilvusIndex(self.client, draft, encoder.dimension, count, highest)
        recall = _recall(session, encoder, index, chosen)
        return Stamp(encoder.id, encoder.generation, tuple(sorted(pipelines)), recall), highest

    def _insert(self, draft: str, piece: features.Piece) -> None:
        step = max(1, NUMBERS_AT_ONCE // piece.vectors.shape[1])
        for start in range(0, len(piece.frame_ids), step):
            some = slice(start, start + step)
            rows = zip(piece.frame_ids[some].tolist(), piece.vectors[some], strict=True)
            self.client.insert(draft, [{"id": frame_id, "vector": vector} for frame_id, vector in rows])

    def _tell(self, collection: str, stamp: Stamp, highest: int) -> None:
        told = orjson.dumps({"stamp": asdict(stamp), "highest": highest}).decode()
        self.client.alter_collection_properties(collection, {PROPERTY: told})

    def _told(self, collection: str) -> tuple[Stamp, int]:
        with translated():
            described = self.client.describe_collection(collection)
        try:
            told = orjson.loads(described["properties"][PROPERTY])
            return Stamp.from_json(told["stamp"]), int(told["highest"])
        except (ValueError, KeyError, TypeError) as error:
            raise BrokenFile("The index in Milvus does not say what it was made from.", REMEDY) from error

    def _switch(self, encoder_id: str, draft: str) -> None:
        """Let the alias lead to the draft, and drop what it led to before."""
        before = self._collection(encoder_id)
        if before is None:
            self.client.create_alias(draft, _alias(encoder_id))
        else:
            self.client.alter_alias(draft, _alias(encoder_id))
            self.client.drop_collection(before)

    def _clear_up(self, encoder_id: str) -> None:
        """Drop what somebody began who has died since."""
        with translated():
            current = self._collection(encoder_id)
            for collection in self._all(encoder_id):
                age = time.time() - _made_at(collection) / 1e9
                if collection != current and age > FORGOTTEN_SECONDS:
                    self.client.drop_collection(collection)

    def _all(self, encoder_id: str) -> list[str]:
        with translated():
            found: list[str] = self.client.list_collections()
        return [each for each in found if each.startswith(f"{_alias(encoder_id)}_")]

    def _collection(self, encoder_id: str) -> str | None:
        """What the alias leads to; None where there is none."""
        found = self._all(encoder_id)
        with translated():
            led = {alias: each for each in found for alias in self.client.list_aliases(each)["aliases"]}
        return led.get(_alias(encoder_id))

    def _present(self, encoder_id: str) -> str:
        collection = self._collection(encoder_id)
        if collection is None:
            raise NotFound(f"There is no index of {encoder_id} in Milvus.", REMEDY)
        return collection

    def _index(self, collection: str) -> MilvusIndex:
        highest = self._told(collection)[1]
        with translated():
            fields = {field["name"]: field for field in self.client.describe_collection(collection)["fields"]}
            self.client.load_collection(collection)
            (row,) = self.client.query(collection, "", output_fields=["count(*)"])
        return MilvusIndex(
            self.client, collection, int(fields["vector"]["params"]["dim"]), int(row["count(*)"]), highest
        )


def _alias(encoder_id: str) -> str:
    return f"cbmir_{hashlib.sha256(encoder_id.encode()).hexdigest()[:24]}"


def _made_at(collection: str) -> int:
    """When a collection was begun, in nanoseconds."""
    return int(collection.rpartition("_")[2], 16)


def _own(index: Index) -> MilvusIndex:
    if not isinstance(index, MilvusIndex):
        raise TypeError(f"{type(index).__name__} is in no collection.")
    return index


def _recall(session: Session, encoder: Encoder, index: MilvusIndex, chosen: list[Piece]) -> float:
    if not chosen:
        return 1.0
    truth = Truth(np.concatenate([ids for ids, _ in chosen]), np.concatenate([vectors for _, vectors in chosen]))
    for piece in features.pieces_of(session, encoder):
        truth.take(piece.frame_ids, piece.vectors)
    return truth.recall(index)
