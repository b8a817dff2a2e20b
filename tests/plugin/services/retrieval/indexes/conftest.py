"""An archive whose features lie along a line, with an index that is kept by each backend."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select

from cbmir.index.base import Ranking
from cbmir.services.retrieval import gallery
from cbmir.services.retrieval.indexes.backends.choose import BACKENDS, chosen
from cbmir.services.retrieval.indexes.backends.files import Files
from cbmir.settings import Settings
from cbmir.store import encoders, features, instances
from cbmir.store.new_instances import NewInstance
from cbmir.store.session import Database
from cbmir.store.tables import Frame, Instance
from cbmir.types import FloatArray, NewFrame

WIDTH = 4
SEARCH = """
import sys, numpy as np
from pathlib import Path
from cbmir.services.retrieval.gallery import Galleries
from cbmir.settings import Settings
from cbmir.store import encoders
from cbmir.store.session import Database

database, galleries = Database(sys.argv[1]), Galleries()
settings = Settings(data=Path(sys.argv[2]), index=sys.argv[3], milvus_url=sys.argv[4])
for line in sys.stdin:
    with database.read() as session:
        held = galleries.of(database, session, encoders.get(session, "net"), settings)
    print(held.generation, [hit[0] for hit in held.index.search(np.zeros((1, 4), np.float32), 3)[0]], flush=True)
"""


class Archive:
    """Frames with features along a line: the first is the nearest to zero."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self.database, self.settings = database, settings
        with database.write() as session:
            self.encoder = encoders.add(
                session,
                id="net",
                architecture="test",
                weights_file="",
                weights_sha256="0" * 64,
                dimension=WIDTH,
                preprocessing={},
                training={},
                metrics={},
            )

    def add(self, *places: float) -> list[int]:
        """The ids of new frames whose features lie there."""
        new = [_instance() for _ in places]
        with self.database.write() as session:
            instances.add_all(session, new)
            found = dict(session.execute(select(Instance.sha256, Frame.id).join(Instance.frames)).all())
            ids = [found[each.sha256] for each in new]
            vectors = np.zeros((len(places), WIDTH), np.float32)
            vectors[:, 0] = places
            features.add_batch(session, self.encoder, ids, vectors)
        return ids

    def delete(self, frame_id: int) -> None:
        with self.database.write() as session:
            instances.delete(session, instances.frame(session, frame_id).instance)

    def search(self, galleries: gallery.Galleries, k: int = 3) -> list[int]:
        return [frame_id for frame_id, _ in self.rank(galleries, k)]

    def rank(self, galleries: gallery.Galleries, k: int) -> Ranking:
        asked: FloatArray = np.zeros((1, WIDTH), np.float32)
        return self.held(galleries).index.search(asked, k)[0]

    def held(self, galleries: gallery.Galleries) -> gallery.Gallery:
        with self.database.read() as session:
            encoder = encoders.get(session, "net")
            held = galleries.of(self.database, session, encoder, self.settings)
            assert held.generation == encoder.generation
            assert held.frame_ids.tolist() == features.matrix(session, "net")[0].tolist()
            return held

    @property
    def path(self) -> Path:
        backend = chosen(self.settings)
        assert isinstance(backend, Files)
        return backend.path("net")

    @property
    def searcher(self) -> list[str]:
        """A program that searches for what is nearest to zero whenever it reads a line."""
        url = self.database.engine.url.render_as_string(hide_password=False)
        settings = self.settings
        return [sys.executable, "-c", SEARCH, url, str(settings.data), settings.index, settings.milvus_url]


def _instance() -> NewInstance:
    number = f"{np.random.default_rng().integers(2**62)}"
    return NewInstance.of(
        header=None,
        file_name=f"{number}.png",
        origin="",
        sha256=number.zfill(64),
        group_key=number,
        frames=[NewFrame(1, "0" * 64, 8, 8, "test/1")],
        labels={},
    )


@pytest.fixture(params=["exact", "hnsw"])
def archive(request: pytest.FixtureRequest, database: Database, settings: Settings) -> Archive:
    """An archive whose index is kept in files."""
    return Archive(database, replace(settings, index=request.param))


@pytest.fixture
def stored_archive(any_database: Database, settings: Settings) -> Archive:
    """An archive on each database there is, its index in a file."""
    return Archive(any_database, settings)


@pytest.fixture(params=BACKENDS)
def any_archive(request: pytest.FixtureRequest, kept_in: Callable[[str], tuple[Database, Settings]]) -> Archive:
    """An archive whose index is kept by each backend there is."""
    return Archive(*kept_in(request.param))


@pytest.fixture(params=[name for name in BACKENDS if name != "milvus"])
def served_archive(request: pytest.FixtureRequest, kept_in: Callable[[str], tuple[Database, Settings]]) -> Archive:
    """An archive whose index several processes can open at once, which a file of milvus-lite is not for."""
    return Archive(*kept_in(request.param))
