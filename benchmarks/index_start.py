"""How soon a worker that has just started answers from the kept index, and how soon after the index was made anew.

    python benchmarks/index_start.py [--images 1000000] [--rounds 5] [--folder FOLDER] [--json FILE.json]

The database is filled with drawn features and the index made once, which takes minutes; `--folder` keeps both for
the next run. Each round is a process of its own that is as ready as a worker for queries is before it opens the
index: it has imported what that imports, loaded the searches' machine code, which is timed apart, and asked the
database who its encoder is. It is timed until the first search is answered; then once more with the file opened
anew. Then another file takes its place, as when the index was made anew, and the slowest of twenty queries is told
that are asked while a thread opens it. The file is in the memory of the system, but for the last row, where it has
been put out of there before.

The steps are timed where they happen. Beside the wall clock stands the process's processor time: on a busy machine
the wall clock tells of the neighbours, too.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import kept_installation
import numpy as np
import reporting

from cbmir.files import written_whole
from cbmir.settings import Settings
from cbmir.store import encoders, features
from cbmir.store.session import Database

GOAL_SECONDS = 0.3
K = 5
PACKAGES = ("numpy", "numba", "sqlalchemy")
OPENED, REOPENED, COLD = "first", "opened again", "first, file not in memory"
CODE, BESIDE = "machine code, loaded before", "slowest query while another is opened beside"


def main() -> int:
    """Run, print, and write the JSON if asked to; 1 if a start takes longer than it should."""
    arguments = _arguments()
    if arguments.once:
        print(json.dumps(once(Settings(data=arguments.folder))))
        return 0
    with kept_installation.folder(arguments.folder) as folder:
        settings = Settings(data=folder)
        kept_installation.made_ready(settings, arguments.images)
        warm = [_apart(folder) for _ in range(arguments.rounds + 1)][1:]  # the first may have code to compile
        cold = [_apart(folder, evict=True) for _ in range(arguments.rounds)]
        report = {
            **reporting.conditions(*PACKAGES),
            "images": arguments.images,
            **summed(warm, cold),
            **limit(settings),
        }
    show(report)
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2))
    return int(report[OPENED]["median"] > GOAL_SECONDS)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time the start of the kept index.")
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where the installation is made, and kept")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--once", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def _apart(folder: Path, evict: bool = False) -> dict[str, Any]:
    """One round in a process of its own."""
    if evict:
        for path in Settings(data=folder).indexes.iterdir():
            with path.open("rb") as stream:
                os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    command = [sys.executable, __file__, "--once", "--folder", str(folder)]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # as a worker for queries
    told = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True).stdout
    found: dict[str, Any] = json.loads(told)
    return found


def once(settings: Settings) -> dict[str, dict[str, float]]:
    """Seconds until the first search is answered, and of its steps; then of a second one that opens all anew."""
    from cbmir.index import loading
    from cbmir.services.retrieval.gallery import Galleries
    from cbmir_workers import duties
    from cbmir_workers.client import ROLES

    import_module("cbmir.services.retrieval.retrieve")
    told = {CODE: clocked(loading.load)}
    duties.make_ready(ROLES["retrieve"])
    database = Database(settings.resolved_database_url)
    with database.read() as session:
        asked = features.vector(session, encoders.resolve(session, None).id, 1)
    assert asked is not None, "the first image has a feature"

    def answered(galleries: Galleries) -> None:
        with database.read() as session:
            index = galleries.of(database, session, encoders.resolve(session, None), settings).index
            assert index.search(asked[np.newaxis], K)[0][0] == (1, 0.0), "an image is nearest to itself"

    steps = timed_steps()
    for name in (OPENED, REOPENED):
        steps.clear()
        galleries = Galleries()
        told[name] = {**clocked(partial(answered, galleries)), **steps}
    replaced(settings, database)
    told[BESIDE] = max((clocked(partial(answered, galleries)) for _ in range(20)), key=lambda each: each["all"])
    return told


def replaced(settings: Settings, database: Database) -> None:
    """Put a copy in place of the index, and have the encoder's features be of a new generation."""
    path = next(settings.indexes.glob("*.index"))
    with written_whole(path) as stream:
        stream.write(path.read_bytes())
    with database.write() as session:
        features.bump(session, encoders.resolve(session, None).id)


def clocked(work: Callable[[], Any]) -> dict[str, float]:
    """Seconds that it takes, by the clock and of this process's processor time."""
    began, began_cpu = time.perf_counter(), time.process_time()
    work()
    return {"all": time.perf_counter() - began, "processor": time.process_time() - began_cpu}


def timed_steps() -> dict[str, float]:
    """Seconds of each step, added up as they come from now on."""
    from cbmir.index import file
    from cbmir.index.live import LiveIndex
    from cbmir.services.retrieval.indexes import index_files, term_files

    seconds: dict[str, float] = {}

    def timed(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def measured(*given: Any, **named: Any) -> Any:
            began = time.perf_counter()
            try:
                return work(*given, **named)
            finally:
                seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - began

        return measured

    for name, owner, work in (
        ("mapped and checked", file, "read"),
        ("compared with the database", index_files, "_match"),
        ("counted", features, "count_until"),
        ("terms", term_files, "current"),
        ("searched", LiveIndex, "search"),
    ):
        setattr(owner, work, timed(name, getattr(owner, work)))
    return seconds


def summed(warm: list[dict[str, Any]], cold: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians and spread of each row, and the medians of its steps, in seconds."""
    rows = {name: [each[name] for each in warm] for name in (CODE, OPENED, REOPENED, BESIDE)}
    rows[COLD] = [each[OPENED] for each in cold]
    return {name: _summed(each) for name, each in rows.items()}


def _summed(rounds: list[dict[str, float]]) -> dict[str, Any]:
    whole = [each["all"] for each in rounds]
    steps = {name: statistics.median(each[name] for each in rounds) for name in rounds[0] if name != "all"}
    return {"median": statistics.median(whole), "fastest": min(whole), "slowest": max(whole), "steps": steps}


def limit(settings: Settings) -> dict[str, float]:
    """The size of the index, and seconds that one pass over it takes at the memory's speed."""
    path = next(settings.indexes.glob("*.index"))
    numbers = np.frombuffer(path.read_bytes()[: path.stat().st_size // 8 * 8], np.int64)
    passes = []
    for _ in range(5):
        began = time.perf_counter()
        numbers.sum()
        passes.append(time.perf_counter() - began)
    return {"bytes": path.stat().st_size, "pass": statistics.median(passes)}


def show(report: dict[str, Any]) -> None:
    """Print the table, in ms."""
    print(reporting.heading(report))
    print(f"{report['images']:,} images, {report['bytes'] / 1e6:.0f} MB; one pass {1e3 * report['pass']:.0f} ms")
    for name in (CODE, OPENED, REOPENED, BESIDE, COLD):
        row = report[name]
        low, median, high = (1e3 * row[each] for each in ("fastest", "median", "slowest"))
        passes = row["median"] / report["pass"]
        print(f"{name}: {median:.0f} ms ({low:.0f} to {high:.0f}), {passes:.1f} passes")
        for step, seconds in row["steps"].items():
            print(f"    {step:28}{1e3 * seconds:8.1f}")
    print(f"goal: the first below {1e3 * GOAL_SECONDS:.0f} ms")


if __name__ == "__main__":
    sys.exit(main())
