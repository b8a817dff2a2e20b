"""Whatever keeps the index, an answer is the true one, or as near to it as the index says: also after changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from sqlalchemy import insert, select, text

from cbmir.errors import BadRequest, EmptyGallery, EncoderMismatch, Unavailable
from cbmir.services.retrieval import gallery, subject
from cbmir.services.retrieval.indexes import index_files
from cbmir.services.retrieval.indexes.backends.choose import BACKENDS, check
from cbmir.services.retrieval.scope import scoped
from cbmir.settings import Settings
from cbmir.store import encoders, features, instances, tables
from cbmir.store.filters import Where
from cbmir.store.session import Database
from cbmir.types import FloatArray, IdArray

COUNT, WIDTH, K = 2_000, 16, 10
LIMITS = {
    "cbmir.index.hnsw.WORTH": 1,
    "cbmir.services.retrieval.indexes.backends.pgvector.FEW": 100,
    "cbmir.index.milvus.FETCHED": 100,
}
"""So that what is meant for many is at work with few."""


def clustered(count: int, seed: int) -> tuple[FloatArray, Any]:
    """float32 (count, WIDTH) in 20 clusters, and the cluster of each."""
    shape, random = np.random.default_rng(7), np.random.default_rng(seed)
    centres, directions = shape.normal(size=(20, WIDTH)), shape.normal(size=(4, WIDTH))
    of = random.integers(0, 20, count)
    spread = random.normal(size=(count, 4)) @ directions * 0.3 + random.normal(scale=0.05, size=(count, WIDTH))
    return (centres[of] + spread).astype(np.float32), of


def fill(database: Database) -> None:
    """Frames 1 to COUNT: half of them MR, one in a hundred of body part RARE, and NEAR where cluster 0 is."""
    vectors, cluster = clustered(COUNT, 0)
    ids = range(1, COUNT + 1)
    with database.write() as session:
        encoders.add(
            session, id="net", architecture="test", weights_file="", weights_sha256="0" * 64, dimension=WIDTH,
            preprocessing={}, training={}, metrics={},
        )  # fmt: skip
        session.execute(insert(tables.Group), [{"id": each, "key": f"p-{each:016x}"} for each in ids])
        session.execute(insert(tables.Instance), [_instance(each, int(cluster[each - 1])) for each in ids])
        session.execute(insert(tables.Frame), [_frame(each) for each in ids])
        stored = [
            {"frame_id": each, "vector": vector.astype(features.STORED).tobytes(), "pipeline": "test/1"}
            for each, vector in zip(ids, vectors, strict=True)
        ]
        features.insert_vectors(session, "net", stored)
        if not database.is_sqlite:
            session.execute(
                text("SELECT setval('instances_id_seq', :n), setval('frames_id_seq', :n)"), {"n": COUNT}
            )


def _instance(number: int, cluster: int) -> dict[str, Any]:
    part = "RARE" if number % 100 == 0 else "NEAR" if cluster == 0 else None
    modality = "MR" if number % 2 else "CT"
    told = {"group_id": number, "file_name": f"{number}.dcm", "sha256": f"{number:064x}"}
    return {"id": number, **told, "modality": modality, "body_part": part}


def _frame(number: int) -> dict[str, Any]:
    told = {"frame_number": 1, "picture": f"{number:064x}", "rows": 8, "columns": 8, "pipeline": "test/1"}
    return {"id": number, "instance_id": number, **told}


@dataclass
class Kept:
    """An archive in a backend, and its answers beside brute force."""

    database: Database
    settings: Settings
    galleries: gallery.Galleries = field(default_factory=gallery.Galleries)
    known: dict[str, tuple[IdArray, FloatArray]] = field(default_factory=dict)

    def hits(self, asked: int, where: Where, feature: FloatArray, k: int = K) -> list[int]:
        """Frames found for a frame of the archive, by another feature than its own."""
        with self.database.read() as session:
            held = self.galleries.of(self.database, session, encoders.get(session, "net"), self.settings)
            scope = scoped(session, held, subject.archived(session, asked), where, False)
            found = scope.search(feature, k)
        assert [distance for _, distance in found] == sorted(distance for _, distance in found)
        assert scope.size + len(scope.left_out) == len(self.members(where)[0])
        return [frame_id for frame_id, _ in found]

    def true(self, where: Where, feature: FloatArray, k: int = K, without: int = 0) -> list[int]:
        ids, vectors = self.members(where)
        far = np.linalg.norm(vectors.astype(np.float64) - feature, axis=1)
        return [each for each in ids[np.lexsort((ids, far))].tolist() if each != without][:k]

    def members(self, where: Where) -> tuple[IdArray, FloatArray]:
        with self.database.read() as session:
            encoder = encoders.get(session, "net")
            known = self.known.get(f"{encoder.generation} {where}")
            if known is None:
                members = features.members_of(session, encoder)
                frames = select(tables.Frame.id).join(tables.Frame.instance).where(*where.clause())
                kept = np.isin(members.frame_ids, session.scalars(frames).all())
                known = members.frame_ids[kept], members.vectors[kept]
                self.known[f"{encoder.generation} {where}"] = known
        return known

    def recall(self, where: Where, queries: int = 20) -> float:
        asked = np.random.default_rng(3).integers(1, COUNT, queries).tolist()
        found = wanted = 0
        for frame_id, feature in zip(asked, clustered(queries, 5)[0], strict=True):
            true = self.true(where, feature, without=frame_id)
            ours = self.hits(frame_id, where, feature)
            assert len(ours) == len(true)
            found, wanted = found + len({*ours} & {*true}), wanted + len(true)
        return found / wanted


@pytest.fixture(params=BACKENDS)
def kept(
    request: pytest.FixtureRequest,
    kept_in: Callable[[str], tuple[Database, Settings]],
    monkeypatch: pytest.MonkeyPatch,
) -> Kept:
    found = Kept(*kept_in(request.param))
    for name, value in LIMITS.items():
        if request.param in name:
            monkeypatch.setattr(name, value)
    fill(found.database)
    return found


def test_answers_are_the_true_ones_or_nearly_whatever_the_filter_keeps(kept: Kept) -> None:
    least = 1.0 if kept.settings.index == "exact" else 0.95
    for where in (
        Where(),
        Where(modality="MR"),
        Where(body_part="RARE"),
        Where(body_part="NEAR"),
        Where.parse(["body_part!=NEAR"]),
        Where(exclude_group=f"p-{7:016x}"),
        Where.parse([f"group!=p-{7:016x}"]),
        Where.parse([f"group=p-{7:016x} OR group=p-{8:016x}"]),
    ):
        assert kept.recall(where) >= least, where
    with pytest.raises(EmptyGallery, match="filter keeps no image"):
        kept.hits(1, Where(modality="XA"), clustered(1, 5)[0][0])
    with kept.database.read() as session:
        held = kept.galleries.of(kept.database, session, encoders.get(session, "net"), kept.settings)
    assert held.index.is_exact == (held.recall is None) == (kept.settings.index == "exact")
    assert held.recall is None or held.recall >= 0.95


def test_what_is_deleted_is_never_found_again_and_k_come_all_the_same(kept: Kept) -> None:
    feature = clustered(1, 5)[0][0]
    near = kept.hits(1, Where(), feature, 60)
    assert len(near) == 60
    with kept.database.write() as session:
        for frame_id in near[:50]:
            instances.delete(session, instances.frame(session, frame_id).instance)
    for where in (Where(), Where(modality="MR")):
        found = kept.hits(near[55], where, feature)
        assert not {*found} & {*near[:50]}
        assert len({*found} & {*kept.true(where, feature, without=near[55])}) >= K - 1
        assert len(found) == K


def test_what_is_new_is_found_at_once_where_the_filter_keeps_it(kept: Kept) -> None:
    feature = clustered(1, 5)[0][0]
    before = kept.hits(1, Where(), feature)
    with kept.database.write() as session:
        for number, modality in ((COUNT + 1, "MR"), (COUNT + 2, "CT")):
            session.execute(insert(tables.Group), [{"id": number, "key": f"p-{number:016x}"}])
            session.execute(insert(tables.Instance), [_instance(number, 1) | {"modality": modality}])
            session.execute(insert(tables.Frame), [_frame(number)])
        ids = [COUNT + 1, COUNT + 2]
        features.add_batch(session, encoders.get(session, "net"), ids, np.stack([feature, feature]))
    assert kept.hits(1, Where(), feature)[:2] == ids
    assert before[0] not in ids
    assert kept.hits(1, Where(modality="MR"), feature)[0] == ids[0]
    assert ids[0] not in kept.hits(1, Where(modality="CT"), feature)
    index_files.rebuild(kept.database, kept.settings)
    assert kept.hits(1, Where(), feature)[:2] == ids
    with kept.database.write() as session:  # a change that makes who holds the old one look again
        features.bump(session, "net")
    assert kept.hits(1, Where(modality="CT"), feature)[0] == ids[1]


def test_all_are_asked_for(kept: Kept) -> None:
    feature = clustered(1, 5)[0][0]
    found = kept.hits(1, Where(), feature, COUNT + 5)
    assert len(found) == len(set(found)) == COUNT - 1


def test_pgvector_needs_postgresql(database: Database, settings: Settings) -> None:
    pytest.importorskip("pgvector", reason="needs `pip install 'cbmir[pgvector]'`")
    with pytest.raises(BadRequest, match="this database is SQLite") as caught:
        check(database, replace(settings, index="pgvector"))
    assert "CBMIR_DATABASE_URL" in caught.value.remedy


def test_pgvector_needs_its_extension(postgres_url: str, settings: Settings) -> None:
    pytest.importorskip("pgvector", reason="needs `pip install 'cbmir[pgvector]'`")
    database = Database(postgres_url)
    with database.read() as session:
        offered = text("SELECT count(*) FROM pg_available_extensions WHERE name = 'vector'")
        if session.scalar(offered):
            pytest.skip("this server has the extension")
    with pytest.raises(Unavailable, match="no extension `vector`"):
        check(database, replace(settings, index="pgvector"))
    database.dispose()


def test_pgvector_says_what_its_user_may_not_do(pgvector_database: Database, settings: Settings) -> None:
    with pgvector_database.write() as session:
        session.execute(text("DROP ROLE IF EXISTS cbmir_humble"))
        session.execute(text("CREATE ROLE cbmir_humble LOGIN"))
    humble = Database(pgvector_database.engine.url.set(username="cbmir_humble").render_as_string(False))
    with pytest.raises(Unavailable, match="may not make what the index needs") as caught:
        check(humble, replace(settings, index="pgvector"))
    assert "CREATE EXTENSION vector" in caught.value.remedy
    humble.dispose()
    with pgvector_database.write() as session:
        session.execute(text("DROP ROLE cbmir_humble"))


def test_pgvector_refuses_features_that_it_cannot_index(pgvector_database: Database, settings: Settings) -> None:
    fill(pgvector_database)
    with pgvector_database.write() as session:
        encoders.get(session, "net").dimension = 2_001
    with pytest.raises(EncoderMismatch, match="2,000 numbers at most; net gives 2,001"):
        index_files.rebuild(pgvector_database, replace(settings, index="pgvector"))


def test_a_rebuild_that_fails_leaves_the_old_table(
    pgvector_database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cbmir.store import vector_tables

    fill(pgvector_database)
    chosen = replace(settings, index="pgvector")
    index_files.rebuild(pgvector_database, chosen)
    monkeypatch.setattr(vector_tables, "NEIGHBOURS", 10_000)  # which the server refuses at the very end
    with pytest.raises(Exception, match="out of bounds"):
        index_files.rebuild(pgvector_database, chosen)
    with pgvector_database.read() as session:
        assert len(index_files.opened(session, encoders.get(session, "net"), chosen).index) == COUNT
        drafts = text("SELECT count(*) FROM pg_tables WHERE schemaname = 'cbmir_index'")
        assert session.scalar(drafts) == 1


def test_milvus_needs_an_address_that_answers(database: Database, settings: Settings) -> None:
    pytest.importorskip("pymilvus", reason="needs `pip install 'cbmir[milvus]'`")
    with pytest.raises(BadRequest, match="CBMIR_MILVUS_URL names none"):
        check(database, replace(settings, index="milvus"))
    with pytest.raises(Unavailable, match="Milvus does not do what it is asked") as caught:
        check(database, replace(settings, index="milvus", milvus_url="http://alice:secret@127.0.0.1:9"))
    assert "secret" not in caught.value.sentence
