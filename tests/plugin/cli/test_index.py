"""`cbmir index` with each kind of file, and what a query says of an approximate one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from cbmir.settings import Settings
from cbmir.store.session import Database
from cbmir.store.tables import Encoder

Cbmir = Callable[..., Any]


@pytest.fixture
def images(cbmir: Cbmir, tmp_path: Path, make_png: Callable[..., bytes]) -> Path:
    """A folder of images that are ingested and extracted."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(12):
        (folder / f"{number}.png").write_bytes(make_png(number))
    assert cbmir("ingest", folder).status == 0
    assert cbmir("extract").status == 0
    return folder


def test_an_index_that_was_made_of_nothing_is_to_be_made_anew(
    cbmir: Cbmir, tmp_path: Path, make_png: Callable[..., bytes]
) -> None:
    assert cbmir("index", "build", "--json").json["features"] == 0
    assert "cbmir extract" in cbmir("index", "benchmark").err
    (tmp_path / "1.png").write_bytes(make_png(1))
    assert cbmir("ingest", tmp_path / "1.png").status == 0
    assert cbmir("extract").status == 0
    assert "The index holds nothing. Run `cbmir index build`." in cbmir("index", "benchmark").err
    assert cbmir("index", "build").status == 0
    assert "exact: 1 features" in cbmir("index", "benchmark").out


def test_an_exact_index_says_nothing_of_recall(cbmir: Cbmir, images: Path) -> None:
    assert cbmir("index", "build", "--json").json["recall"] is None
    assert "exact  12 features  current" in cbmir("index", "status").out
    assert "recall" not in cbmir("index", "status").out
    told = cbmir("query", images / "3.png", "--json")
    assert (told.json["recall"], told.err) == (None, "")
    assert "distances and" in cbmir("index", "benchmark").out


@pytest.mark.parametrize(
    "later", [{"generation": 4}, {"generation": 9, "followed_from": 9}], ids=["an older copy", "a lost record"]
)
def test_a_whole_index_that_the_database_cannot_follow_from_is_not_called_damaged(
    cbmir: Cbmir, images: Path, settings: Settings, later: dict[str, int]
) -> None:
    database = Database(settings.resolved_database_url)
    with database.write() as session:
        session.execute(update(Encoder).values(generation=5))
    assert cbmir("index", "build").status == 0
    with database.write() as session:
        session.execute(update(Encoder).values(**later))
    database.dispose()
    told = cbmir("index", "status")
    assert "exact  12 features  outdated  0.0 MB" in told.out
    assert "cannot follow from. Build it anew: `cbmir index build`." in told.err
    assert cbmir("query", images / "3.png").status == 0
    assert "exact  12 features  current" in cbmir("index", "status").out


def test_an_approximate_index_says_so_everywhere(
    cbmir: Cbmir, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("faiss", reason="needs `pip install 'cbmir[hnsw]'`")
    exact = cbmir("query", images / "3.png", "--json").json
    monkeypatch.setenv("CBMIR_INDEX", "hnsw")
    assert "missing" in cbmir("index", "status").out
    told = cbmir("query", images / "3.png", "--json")
    assert told.json["recall"] == 1.0
    assert "the index is approximate: it finds 100.0% of the true 10 nearest" in told.err
    assert told.json["hits"] == exact["hits"]
    assert "12 features, recall@10 1.000" in cbmir("index", "build").out
    assert "hnsw  12 features  current" in cbmir("index", "status").out
    assert "recall@10 1.000" in cbmir("index", "status").out
    assert "12 features are the database's" in cbmir("index", "verify").out
    assert "recall@5 1.000; exact: recall@5 1, median" in cbmir("index", "benchmark").out


def test_a_backend_that_cannot_be_used_is_refused_with_a_remedy(
    cbmir: Cbmir, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index, said in {
        "crystal": "CBMIR_INDEX names no index: 'crystal'. Choose one of: exact, hnsw, pgvector, milvus.",
        "pgvector": "CBMIR_INDEX=pgvector needs PostgreSQL, and this database is SQLite.",
        "milvus": "CBMIR_INDEX=milvus needs a Milvus, and CBMIR_MILVUS_URL names none.",
    }.items():
        monkeypatch.setenv("CBMIR_INDEX", index)
        for command in (("index", "status"), ("index", "build"), ("query", images / "3.png"), ("worker",)):
            refused = cbmir(*command)
            assert refused.status == 1
            assert said in refused.err
