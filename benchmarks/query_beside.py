"""How long queries take while other work runs beside them, and when nothing does.

    python benchmarks/query_beside.py [--images 1000000] [--queries 300] [--pictures 20000] [--folder FOLDER]
                                      [--works extraction,training,rebuild] [--json FILE.json]

One process answers queries as the worker does, by the service function: each hands in another DICOM file of
512 x 512 with 12 bits, which is converted in a process apart, encoded and compared with all features. Beside it
runs, in a process of its own and on all cores, as another worker would:

- an extraction: new pictures get their features, in the same database;
- a training: of the paper's autoencoder at 64 x 64, on pictures of another installation, as those of this one's
  images are drawn numbers without pictures;
- rebuilds of the index, one after the other: its file is replaced, and opened anew beside the queries.

Before and after each as many queries are asked while nothing else runs. If the work ends before the queries do,
those after it are not counted; how many were answered is told.

The installation is filled and the index made first, which takes minutes; `--folder` keeps both for the next run,
which works on a copy.
"""

from __future__ import annotations

import os

os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")  # as a worker for queries; read by NumPy

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import kept_installation
import numpy as np
import reporting
from query import K, dicom, percentiles

import cbmir_migrations
from cbmir.pictures.shelf import Shelf
from cbmir.progress import Silence
from cbmir.services.conversion.isolation import Isolation
from cbmir.services.retrieval.retrieve import Question, retrieve
from cbmir.settings import Settings
from cbmir.store import tables
from cbmir.store.session import Database
from cbmir.types import ByteArray
from cbmir_workers import duties
from cbmir_workers.client import ROLES

DISTINCT, SIDE = 500, 512
"""Stored pictures that the new frames show, and their pixels a side."""
ROWS_AT_ONCE = 1000
EPOCHS = 10_000
"""Of a training that is ended before."""
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")
"""Of queries alone: the other workers use all cores."""
RUNNING = "running"
PACKAGES = ("onnxruntime", "torch", "numpy", "numba", "sqlalchemy")


def main() -> None:
    """Run, print, and write the JSON if asked to."""
    arguments = _arguments()
    if arguments.work:
        WORKS[arguments.work](Settings(data=arguments.folder))
        return
    with tempfile.TemporaryDirectory() as scratch:
        settings, other = prepared(Path(scratch), arguments)
        report = {**reporting.conditions(*PACKAGES), "images": arguments.images, "works": {}}
        print(reporting.heading(report))
        with Isolation(1) as isolation:
            asker = Asker(settings, isolation)
            for name in arguments.works.split(","):
                folder = (other if name == "training" else settings).data
                report["works"][name] = measured(asker, name, folder, arguments.queries)
                show(name, report["works"][name])
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time queries beside other work.")
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=300, help="beside each work; as many before and after")
    parser.add_argument("--pictures", type=int, default=20_000, help="new ones, to extract")
    parser.add_argument("--works", default=",".join(WORKS))
    parser.add_argument("--folder", type=Path, help="where the installation is made, and kept")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--work", choices=WORKS, help=argparse.SUPPRESS)
    return parser.parse_args()


def prepared(scratch: Path, arguments: argparse.Namespace) -> tuple[Settings, Settings]:
    """The installation that is asked, with new pictures, and a small one with as many distinct ones to train on."""
    with kept_installation.folder(arguments.folder) as folder:
        kept_installation.made_ready(Settings(data=folder), arguments.images)
        shutil.copytree(folder, scratch / "asked")
    settings, other = Settings(data=scratch / "asked"), Settings(data=scratch / "trained")
    add_pictures(settings, arguments.pictures)
    cbmir_migrations.upgrade(other.resolved_database_url)
    add_pictures(other, DISTINCT)
    return settings, other


def add_pictures(settings: Settings, count: int) -> None:
    """So many new frames, each of a patient of its own, that show `DISTINCT` drawn pictures in turn."""
    shelf, database = Shelf(settings.pictures), Database(settings.resolved_database_url)
    keys = [shelf.put(_drawn(number)) for number in range(min(DISTINCT, count))]
    for start in range(0, count, ROWS_AT_ONCE):
        numbers = range(start, min(start + ROWS_AT_ONCE, count))
        with database.write() as session:
            session.add_all([_instance(number, keys[number % len(keys)]) for number in numbers])
    database.dispose()


def _drawn(number: int) -> ByteArray:
    """Blocks with the noise of a detector."""
    random = np.random.default_rng(number)
    blocks = np.kron(random.normal(110, 50, (8, 8)), np.ones((SIDE // 8, SIDE // 8)))
    return np.clip(blocks + random.normal(0, 2, (SIDE, SIDE)), 0, 255).astype(np.uint8)


def _instance(number: int, key: str) -> tables.Instance:
    frame = tables.Frame(frame_number=1, picture=key, rows=SIDE, columns=SIDE, pipeline="drawn")
    group = tables.Group(key=f"new-{number}")
    return tables.Instance(group=group, file_name=f"{number}.png", sha256=f"{number:064x}", frames=[frame])


class Asker:
    """Asks one query after the other, each with a picture that was never asked about."""

    def __init__(self, settings: Settings, isolation: Isolation) -> None:
        duties.make_ready(ROLES["retrieve"])
        self._settings, self._isolation = settings, isolation
        self._database, self._number = Database(settings.resolved_database_url), 0
        self.ask()  # loads what stays

    def ask(self) -> float:
        """One query; milliseconds until its answer was here."""
        self._number += 1
        question = Question(k=K, data=dicom(self._number), name="query.dcm")
        began = time.perf_counter()
        answer = retrieve(self._database, self._settings, question, self._isolation)
        taken = 1e3 * (time.perf_counter() - began)
        assert len(answer.hits) == K, "there are images enough"
        return taken

    def many(self, count: int, goes_on: Callable[[], bool] = lambda: True) -> list[float]:
        """So many queries, or as many as are answered while something goes on."""
        taken = []
        while len(taken) < count:
            last = self.ask()
            if not goes_on():
                break
            taken.append(last)
        return taken


def measured(asker: Asker, name: str, folder: Path, queries: int) -> dict[str, Any]:
    """Queries beside a work, and before and after it."""
    quiet = asker.many(queries)
    with beside(name, folder) as work:
        busy = asker.many(queries, lambda: work.poll() is None)
    asker.many(3)
    quiet += asker.many(queries)
    if len(busy) < 2:
        raise SystemExit(f"the {name} ended at once: give it more to do")
    return {"queries": len(busy), "beside_ms": _told(busy), "quiet_ms": _told(quiet)}


def _told(taken: list[float]) -> dict[str, float]:
    return {**percentiles(taken), "most": float(np.max(taken))}


@contextmanager
def beside(name: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A work in a process of its own, from where it has begun until the block ends."""
    command = [sys.executable, __file__, "--work", name, "--folder", str(folder)]
    environment = {name: value for name, value in os.environ.items() if name not in THREADS}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None, "it is a pipe"
            if process.stdout.readline().strip() != RUNNING:
                raise SystemExit(f"the {name} has not begun")
            yield process
        finally:
            process.kill()


def _begun() -> None:
    print(RUNNING, flush=True)


class _Begun(Silence):
    """Says so at the first step that is done, or, of a training, learned."""

    def __init__(self, *, learns: bool = False) -> None:
        self._learns, self._is_told = learns, False

    def update(self, done: int, total: int, message: str = "", detail: Any = None) -> None:
        """See `cbmir.progress.Progress.update`."""
        if done and not self._is_told and (detail or not self._learns):
            self._is_told = True
            _begun()


def extraction(settings: Settings) -> None:
    """New pictures get their features."""
    from cbmir.services.features.extract import extract

    extract(Database(settings.resolved_database_url), settings, None, _Begun())


def training(settings: Settings) -> None:
    """The paper's autoencoder is trained."""
    from cbmir.services.training.train import TrainingRequest, train

    train(Database(settings.resolved_database_url), settings, TrainingRequest(epochs=EPOCHS), _Begun(learns=True))


def rebuild(settings: Settings) -> None:
    """The index is made anew, again and again."""
    from cbmir.services.retrieval.indexes import index_files

    database = Database(settings.resolved_database_url)
    _begun()
    while True:
        index_files.rebuild(database, settings)


WORKS = {"extraction": extraction, "training": training, "rebuild": rebuild}


def show(name: str, figures: dict[str, Any]) -> None:
    """Print both rows."""
    print(f"\n{name}, {figures['queries']} queries beside it; ms")
    columns = list(figures["quiet_ms"])
    print(f"{'':12}" + "".join(f"{each:>10}" for each in columns))
    for title, row in (("quiet", figures["quiet_ms"]), ("beside it", figures["beside_ms"])):
        print(f"{title:12}" + "".join(f"{row[each]:10.1f}" for each in columns), flush=True)


if __name__ == "__main__":
    main()
