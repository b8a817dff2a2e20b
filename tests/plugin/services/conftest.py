"""A small library to train on and to extract from."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cbmir.pictures.shelf import Shelf
from cbmir.settings import Settings
from cbmir.store import instances
from cbmir.store.session import Database
from cbmir.types import ByteArray, LabelOrigin, NewFrame

PACKAGES = {"exact": [], "hnsw": ["faiss"], "pgvector": ["pgvector"], "milvus": ["pymilvus", "milvus_lite"]}


def picture(kind: str, number: int) -> ByteArray:
    """A disc or a bar on a dark ground, uint8 (40, 32); another number gives another place and brightness."""
    rng = np.random.default_rng(number)
    rows, columns = np.mgrid[:40, :32]
    at, level = rng.integers(10, 22), rng.integers(120, 250)
    shape = (rows - at) ** 2 + (columns - at) ** 2 < 60 if kind == "disc" else abs(columns - at) < 4
    return np.where(shape, level, rng.integers(0, 40)).astype(np.uint8)


@pytest.fixture
def stock(settings: Settings) -> Callable[..., None]:
    """Puts plain pictures into a database: two sub-classes, two pictures of each patient."""

    def put(database: Database, patients: int = 6) -> None:
        shelf = Shelf(settings.pictures)
        with database.write() as session:
            for number in range(2 * patients):
                kind = ("disc", "bar")[number // 2 % 2]
                instances.add(
                    session,
                    header=None,
                    file_name=f"{number}.png",
                    origin="",
                    sha256=hashlib.sha256(str(number).encode()).hexdigest(),
                    group_key=f"patient-{number // 2}",
                    frames=[NewFrame(1, shelf.put(picture(kind, number)), 40, 32, "image/1")],
                    labels={"subclass": (kind, LabelOrigin.MANIFEST)},
                )

    return put


@pytest.fixture
def kept_in(
    request: pytest.FixtureRequest, settings: Settings, tmp_path: Path
) -> Iterator[Callable[[str], tuple[Database, Settings]]]:
    """A database and the settings of an installation that keeps its indexes in a backend."""
    url = str(tmp_path / "milvus.db")

    def make(backend: str) -> tuple[Database, Settings]:
        for package in PACKAGES[backend]:
            pytest.importorskip(package, reason=f"needs `pip install 'cbmir[{backend}]'`")
        database = request.getfixturevalue("pgvector_database" if backend == "pgvector" else "database")
        return database, replace(settings, index=backend, milvus_url=url if backend == "milvus" else "")

    yield make
    if clients := sys.modules.get("cbmir.services.retrieval.indexes.backends.milvus_client"):
        clients.close(url)
