"""Exact search beside its peers and its limit, all in one run.

    pip install -e .[bench]
    python benchmarks/index.py [--rounds 15] [--sizes 50000,1000000] [--kinds drawn,noise] [--json index.json]
    python benchmarks/index.py --kinds mine=FEATURES.npy       features of a network of yours, blown up to each size

A filter that keeps 1 % is asked right after all vectors were passed over, which empties the caches, and then again.

The contenders take turns, so that a neighbour's load on the machine hits all alike; ratios hold better than times.
Beside the wall clock stands the thread's processor time: on a busy machine a long task is interrupted more often
than a short one, and its wall clock tells more of the neighbours than of the task. The ratio to the limit, one pass
over the vectors at memory speed, is of processor times. One thread, unless OPENBLAS_NUM_THREADS says otherwise.

drawn: 200 clusters, of which eight directions hold most of the spread, as an autoencoder's features. noise:
Gaussian, independent. mine: mixtures of each feature with one of the file's eight nearest to it, at a place between
them drawn evenly, and Gaussian noise of a twentieth of their distance.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when NumPy is imported
os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when FAISS is

import argparse
import json
import math
import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import index_peers
import numpy as np

from cbmir.index import exact, hnsw
from cbmir.index.base import IdArray
from cbmir.index.exact import ExactIndex, Touched
from cbmir.types import FloatArray

WIDTH, K, BATCH = 48, 5, 64
LIMIT = "limit: one sweep"

Work = Callable[[int], Any]
"""One query, or one batch of them, by its number; a single one gives the ids it finds."""
Draw = Callable[[int, int], FloatArray]
"""Features by their number and a seed."""


def main() -> None:
    """Run, print, and write the JSON if asked to."""
    arguments = _arguments()
    if arguments.graphs:
        index_peers.LARGEST_GRAPH = max(arguments.sizes)
    result: dict[str, Any] = {"machine": machine(), "rounds": arguments.rounds, "k": K, "kinds": {}}
    print(" | ".join(f"{name} {value}" for name, value in result["machine"].items()))
    for kind, draw in kinds(arguments.kinds).items():
        result["kinds"][kind] = {
            str(size): compare(f"{size:,} {kind}", draw, size, arguments.rounds) for size in arguments.sizes
        }
    result["slopes"] = slopes(result["kinds"])
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time exact search beside its peers.")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument(
        "--sizes", type=lambda text: [int(part) for part in text.split(",")], default=[50_000, 10**6]
    )
    parser.add_argument("--kinds", default="drawn,noise")
    parser.add_argument("--graphs", action="store_true", help="however many minutes a graph takes to be made")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def machine() -> dict[str, str]:
    """What the times were taken on."""
    names = ("numpy", "numba", "scikit-learn", "faiss-cpu", "hnswlib")
    return {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "load": f"{os.getloadavg()[0]:.1f}",
        "Python": platform.python_version(),
        **{name: _version(name) for name in names},
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def compare(title: str, draw: Draw, size: int, rounds: int) -> dict[str, Any]:
    """Times of every contender at one size, and what ours looks at."""
    vectors, queries = draw(size, 0), draw(rounds * BATCH, 1)
    print(f"\n{title}")
    started = time.thread_time()
    index = exact.build(np.arange(size), vectors)
    building = time.thread_time() - started
    print(f"our index was built in {building:.1f} s of processor time")
    contenders: dict[str, Work] = {LIMIT: lambda _: vectors.sum()}
    some = np.sort(np.random.default_rng(2).choice(size, size // 100, replace=False))
    contenders |= ours(index, queries, some) | approximate(vectors, queries)
    contenders |= index_peers.contenders(vectors, queries, K, some)
    expected = [id for id, _ in index.search(queries[:1], K)[0]]
    found = {name: answer for name, work in contenders.items() if len(answer := _ids(work(0))) == K}
    looked = looked_at(index, queries[:rounds])
    return {
        "build_s": building,
        "looked_at": looked,
        "contenders": tabulate(take_turns(contenders, rounds), expected, found),
    }


def _ids(answer: Any) -> list[int]:
    return answer if isinstance(answer, list) and all(isinstance(each, int) for each in answer) else []


def drawn(count: int, seed: int) -> FloatArray:
    """float32 (count, 48): clusters of low intrinsic dimension."""
    shape, random = np.random.default_rng(7), np.random.default_rng(seed)
    centres, directions = shape.normal(size=(200, WIDTH)), shape.normal(size=(8, WIDTH))
    features = centres[random.integers(0, 200, count)].astype(np.float32)
    features += (random.normal(size=(count, 8)) @ directions * 0.3).astype(np.float32)
    return features + random.normal(scale=0.05, size=(count, WIDTH)).astype(np.float32)


def noise(count: int, seed: int) -> FloatArray:
    """float32 (count, 48): independent."""
    return np.random.default_rng(seed).standard_normal((count, WIDTH), dtype=np.float32)


def blown_up(path: Path) -> Draw:
    """As many features like those in a file, float32 (n, d), as are wanted."""
    stored = np.load(path).astype(np.float32)
    neighbours = [
        [id for id, _ in found] for found in exact.build(np.arange(len(stored)), stored).search(stored, 9)
    ]
    near = np.array(neighbours)[:, 1:]

    def draw(count: int, seed: int) -> FloatArray:
        random = np.random.default_rng(seed)
        chosen = random.integers(0, len(stored), count)
        others = stored[near[chosen, random.integers(0, near.shape[1], count)]]
        between = random.random((count, 1), dtype=np.float32)
        apart = np.linalg.norm(others - stored[chosen], axis=1, keepdims=True) / 20 / np.sqrt(stored.shape[1])
        jitter = random.standard_normal(others.shape, dtype=np.float32) * apart
        return stored[chosen] + between * (others - stored[chosen]) + jitter

    return draw


def kinds(text: str) -> dict[str, Draw]:
    """The kinds of features asked for: names, or NAME=FILE."""
    known: dict[str, Draw] = {"drawn": drawn, "noise": noise}
    found = {}
    for part in text.split(","):
        name, _, path = part.partition("=")
        found[name] = blown_up(Path(path)) if path else known[name]
    return found


def ours(index: ExactIndex, queries: FloatArray, some: IdArray) -> dict[str, Work]:
    """cbmir's exact index: with filters, alone, with more hits, in a batch."""
    most = np.delete(np.arange(len(index)), some)

    def asked(k: int, allowed: IdArray | None = None) -> Work:
        return lambda turn: [id for id, _ in index.search(queries[turn : turn + 1], k, allowed)[0]]

    return {
        "cbmir exact, filter keeps 1 %": asked(K, some),
        "cbmir exact, filter keeps 1 %, again": asked(K, some),
        "cbmir exact": asked(K),
        "cbmir exact, top 100": asked(100),
        "cbmir exact, filter keeps 99 %": asked(K, most),
        f"cbmir exact, batch of {BATCH}": lambda turn: index.search(queries[turn * BATCH : (turn + 1) * BATCH], K),
    }


def approximate(vectors: FloatArray, queries: FloatArray) -> dict[str, Work]:
    """cbmir's approximate index, where FAISS is installed and a graph is made in less than minutes."""
    if not find_spec("faiss") or len(vectors) > index_peers.LARGEST_GRAPH:
        return {}
    started = time.perf_counter()
    index = hnsw.build(np.arange(len(vectors)), vectors)
    print(f"our approximate index was built in {time.perf_counter() - started:.1f} s")
    return {"cbmir hnsw": lambda turn: [id for id, _ in index.search(queries[turn : turn + 1], K)[0]]}


def looked_at(index: ExactIndex, queries: FloatArray) -> dict[str, float]:
    """What one query looks at, on average."""
    touched = Touched()
    index.search(queries, K, touched=touched)
    found = {
        "cells": touched.cells / len(queries) / len(index.cells.slack),
        "codes": touched.codes / len(queries) / index.cells.codes.size,
        "measured": touched.measured / len(queries),
    }
    print(
        "looked at a query: {cells:.1%} of the cells, {codes:.1%} of the codes, {measured:.0f} vectors".format(
            **found
        )
    )
    return found


def take_turns(contenders: dict[str, Work], rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Milliseconds of every contender in every round: by the wall clock, and of this thread's processor time."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    for turn in range(rounds):
        for name, work in contenders.items():
            wall, processor = time.perf_counter(), time.thread_time()
            work(turn)
            times[name].append(((time.perf_counter() - wall) * 1e3, (time.thread_time() - processor) * 1e3))
    return times


def tabulate(times: dict[str, list[tuple[float, float]]], expected: list[int], found: dict[str, list[int]]) -> Any:
    """Print and return medians, quartiles, the ratio to the limit, and how much of the true answer was found."""
    swept = statistics.median(each[1] for each in times[LIMIT])
    print(f"{'':36}{'wall ms':>10}{'quartiles':>18}{'processor ms':>14}{'x limit':>9}{'found':>7}")
    table = {}
    for name, taken in times.items():
        low, median, high = statistics.quantiles([each[0] for each in taken], n=4)
        processor = statistics.median(each[1] for each in taken)
        share = len(set(found[name]) & set(expected)) / K if name in found else None
        row = {"wall_ms": median, "quartiles_ms": [low, high], "processor_ms": processor}
        table[name] = {**row, "times_limit": processor / swept, "found": share}
        told = "" if share is None else f"{share:.2f}"
        spread = f"{low:.2f} - {high:.2f}"
        print(f"{name:36}{median:10.2f}{spread:>18}{processor:14.2f}{processor / swept:9.3f}{told:>7}")
    return table


def slopes(result: dict[str, Any]) -> dict[str, dict[str, float]]:
    """How the processor time of our search grows: its power of the size, from the smallest to the largest."""
    found: dict[str, dict[str, float]] = {}
    for kind, sizes in result.items():
        counts = sorted(int(size) for size in sizes)
        if len(counts) < 2:
            continue
        first, last = (sizes[str(count)]["contenders"] for count in (counts[0], counts[-1]))
        for name in ("cbmir exact", LIMIT):
            grown = last[name]["processor_ms"] / first[name]["processor_ms"]
            found.setdefault(kind, {})[name] = math.log(grown) / math.log(counts[-1] / counts[0])
            print(f"{kind}: {name} grows with the size to the power of {found[kind][name]:.2f}")
    return found


if __name__ == "__main__":
    main()
