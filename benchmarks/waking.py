"""What it costs to learn which frames lack a feature, when a million have one: at every wake of the extraction.

    python benchmarks/waking.py [--rows 1000000] [--url postgresql://...] [--rounds 5]

Without a URL it is SQLite, in a temporary folder; a database that the URL names must be empty.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from json_exchange import DIMENSION, new_encoder, synthetic
from sqlalchemy import insert, text
from sqlalchemy.orm import Session

import cbmir_migrations
from cbmir.store import features
from cbmir.store.session import Database
from cbmir.store.tables import Feature, Frame, Group, Instance

ROWS_AT_ONCE = 50_000
NEW = 5
"""Frames without a feature, the newest."""


def main() -> None:
    """Fill, measure, and print a line a question."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--url", default="")
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = asked.url or f"sqlite:///{Path(folder) / 'many.sqlite'}"
        cbmir_migrations.upgrade(url)
        database = Database(url)
        fill(database, asked.rows)
        print(f"{asked.rows:,} frames, {NEW} of them without a feature, {database.engine.dialect.name}")
        for name, question in questions().items():
            print(f"{name:<52}{milliseconds(database, question, asked.rounds):>9.1f} ms")
        database.dispose()


def fill(database: Database, rows: int) -> None:
    """Frames with their features, but for the newest few."""
    random = np.random.default_rng(0)
    with database.write() as session:
        session.add(new_encoder())
        session.execute(insert(Group), [{"id": n, "key": f"p-{n:016x}"} for n in range(1, rows // 100 + 2)])
    for start in range(1, rows + 1, ROWS_AT_ONCE):
        numbers = range(start, min(start + ROWS_AT_ONCE, rows + 1))
        new = synthetic(numbers, random.normal(size=(len(numbers), DIMENSION)).astype("<f4"))
        having = [row for row in new[Feature] if row["frame_id"] <= rows - NEW]
        with database.write() as session:
            for table, found in ((Instance, new[Instance]), (Frame, new[Frame]), (Feature, having)):
                session.execute(insert(table.__table__), found)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))


def questions() -> dict[str, Callable[[Session], object]]:
    """What is asked, by what it is for."""
    encoder = new_encoder().id

    def new(session: Session) -> object:
        after = features.newest_frame(session, encoder)
        return features.missing_frames(session, encoder, after=after, limit=64)

    return {
        "at each wake: the frames after the newest with one": new,
        "at the end of a job: how many lack one": lambda session: features.count_missing(session, encoder),
        "by `cbmir extract`: all that lack one": lambda session: features.missing_frames(
            session, encoder, after=0, limit=64
        ),
    }


def milliseconds(database: Database, question: Callable[[Session], object], rounds: int) -> float:
    """The median."""
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        with database.read() as session:
            assert question(session)
        taken.append(1000 * (time.perf_counter() - began))
    return statistics.median(taken)


if __name__ == "__main__":
    main()
