"""How long a query takes from `enqueue` to its result in the database.

    python benchmarks/job_latency.py [--features 50000] [--queries 200]

It starts the embedded Redis and a worker process on an installation of its own, in a temporary folder, whose
gallery is drawn at random, and asks for the neighbours of one stored picture after the other.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import cbmir_migrations
from cbmir.settings import Settings
from cbmir.store import encoders, features, jobs, tables
from cbmir.store.filters import Where
from cbmir.store.session import Database
from cbmir.types import JobKind
from cbmir_workers import client, embedded_redis
from cbmir_workers.up import workers

POLL_SECONDS = 0.0005
DIMENSION = 48


def fill(database: Database, count: int) -> None:
    """An encoder and a gallery of so many frames, one an instance."""
    vectors = np.random.default_rng(0).normal(size=(count, DIMENSION)).astype(np.float32)
    group = tables.Group(key="p-1")
    with database.write() as session:
        rows = [
            tables.Instance(
                group=group,
                file_name=f"{number}.png",
                sha256=f"{number:064x}",
                frames=[tables.Frame(frame_number=1, picture="0" * 64, rows=1, columns=1, pipeline="drawn")],
            )
            for number in range(count)
        ]
        session.add_all(rows)
        session.flush()
        encoder = encoders.add(
            session,
            id="drawn",
            architecture="cnn-autoencoder",
            weights_file="",
            weights_sha256="0" * 64,
            dimension=DIMENSION,
            preprocessing={},
            training={},
            metrics={},
        )
        features.add_batch(session, encoder, [row.frames[0].id for row in rows], vectors)


def question(frame_id: int) -> dict[str, object]:
    """A query's job parameters."""
    nothing = dict.fromkeys(("upload", "sop_instance_uid", "frame_number", "encoder"))
    return {**nothing, "frame_id": frame_id, "k": 5, "where": Where().as_json(), "exclude_same_patient": False}


def measure(settings: Settings, database: Database, queries: int) -> np.ndarray:
    """Milliseconds from enqueue to success of each query, one after the other."""
    app = client.make_app(settings)
    taken = []
    for number in range(queries):
        began = time.perf_counter()
        job = client.enqueue(database, app, JobKind.RETRIEVE, question(number + 1))
        while True:
            with database.read() as session:
                state = jobs.get(session, job.id).state
            if state == "succeeded":
                break
            if state == "failed":
                sys.exit("a query failed: see the worker's log")
            time.sleep(POLL_SECONDS)
        taken.append((time.perf_counter() - began) * 1000)
    return np.array(taken[1:])  # the first waited for the worker to start


def main() -> None:
    """Measure, and print one line."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--features", type=int, default=50_000)
    arguments.add_argument("--queries", type=int, default=200)
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data=Path(folder))
        cbmir_migrations.upgrade(settings.resolved_database_url)
        database = Database(settings.resolved_database_url)
        fill(database, chosen.features)
        with embedded_redis.running(settings):
            worker = workers(settings, ("retrieve",))[0].start()
            try:
                taken = measure(settings, database, chosen.queries)
            finally:
                worker.terminate()
                worker.wait()
        database.dispose()
    low, middle, high = np.percentile(taken, [5, 50, 95])
    print(f"{chosen.features:,} features: median {middle:.1f} ms, 5 % {low:.1f}, 95 % {high:.1f}")
    print(f"the machine's load was {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
