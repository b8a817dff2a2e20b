"""Exact search beside its peers and its limit, all in one run.

    python benchmarks/retrieval.py [--rounds 15] [--json retrieval.json] [--sizes 50000,1000000]

The contenders take turns, so that a neighbour's load on the machine hits all alike; ratios hold better than times.
The limit is one pass over the vectors at memory speed. One thread, unless OPENBLAS_NUM_THREADS says otherwise.
The features are clustered, of low intrinsic dimension, as an autoencoder's are.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when NumPy is imported

import argparse
import json
import math
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from cbmir.index.sweep import Members

from cbmir.index.exact import ExactIndex
from cbmir.types import FloatArray

WIDTH, K, BATCH = 48, 5, 64
LARGEST_LOOP = 50_000
"""Features above which the paper's loop is left out: it would take ten seconds a query."""

Work = Callable[[int], object]
"""One query, or one batch of them, by its number."""


def main() -> None:
    """Run, print, and write the JSON if asked to."""
    arguments = _arguments()
    result = {"machine": machine(), "rounds": arguments.rounds, "width": WIDTH, "k": K, "sizes": {}}
    print(" | ".join(f"{name} {value}" for name, value in result["machine"].items()))
    for size in arguments.sizes:
        result["sizes"][str(size)] = compare(size, arguments.rounds)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time exact search beside its peers.")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument(
        "--sizes", type=lambda text: [int(part) for part in text.split(",")], default=[50_000, 10**6]
    )
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def machine() -> dict[str, str]:
    """What the times were taken on."""
    return {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "threads of BLAS": os.environ["OPENBLAS_NUM_THREADS"],
        "Python": platform.python_version(),
        "NumPy": np.__version__,
        "scikit-learn": _version("scikit-learn"),
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


def compare(size: int, rounds: int) -> dict[str, Any]:
    """Median milliseconds of every contender at one size."""
    vectors, queries = features(size), features(rounds * BATCH, seed=1)
    index = ExactIndex(np.arange(size), vectors)
    contenders = {**limit(vectors), **ours(index, queries), **peers(vectors, queries)}
    expected = [[number for number, _ in ranking] for ranking in index.search(queries[:1], K)]
    print(
        f"\n{size:,} x {WIDTH}; measured exactly after the bounds: {touched(index, queries[:rounds]):.0f} a query"
    )
    for name, work in contenders.items():
        found = work(0)
        if name.startswith(("paper", "scikit")):
            assert found == expected[0], f"{name} finds {found}, not {expected[0]}"
    return tabulate(take_turns(contenders, rounds))


def features(count: int, seed: int = 0) -> FloatArray:
    """float32 (count, 48): 200 clusters, of which eight directions hold most of the spread."""
    shape, random = np.random.default_rng(7), np.random.default_rng(seed)
    centres, directions = shape.normal(size=(200, WIDTH)), shape.normal(size=(8, WIDTH))
    drawn = centres[random.integers(0, 200, count)].astype(np.float32)
    drawn += (random.normal(size=(count, 8)) @ directions * 0.3).astype(np.float32)
    return drawn + random.normal(scale=0.05, size=(count, WIDTH)).astype(np.float32)


def limit(vectors: FloatArray) -> dict[str, Work]:
    """One pass over the vectors."""
    return {"limit: one sweep": lambda _: vectors.sum()}


def ours(index: ExactIndex, queries: FloatArray) -> dict[str, Work]:
    """cbmir's exact index: alone, with filters, with more hits, in a batch."""
    some = np.sort(np.random.default_rng(2).choice(len(index), len(index) // 100, replace=False))
    most = np.delete(np.arange(len(index)), some)
    return {
        "cbmir exact": lambda turn: index.search(queries[turn : turn + 1], K),
        "cbmir exact, top 100": lambda turn: index.search(queries[turn : turn + 1], 100),
        "cbmir exact, filter keeps 1 %": lambda turn: index.search(queries[turn : turn + 1], K, some),
        "cbmir exact, filter keeps 99 %": lambda turn: index.search(queries[turn : turn + 1], K, most),
        f"cbmir exact, batch of {BATCH}": lambda turn: index.search(queries[turn * BATCH : (turn + 1) * BATCH], K),
    }


def touched(index: ExactIndex, queries: FloatArray) -> float:
    """Vectors of which the distance is evaluated exactly, on average."""
    counts: list[int] = []
    measure = Members._distances

    def counted(members: Members, query: FloatArray, rows: Any) -> Any:
        counts.append(len(rows))
        return measure(members, query, rows)

    with patch.object(Members, "_distances", counted):
        index.search(queries, K)
    return sum(counts) / len(queries)


def peers(vectors: FloatArray, queries: FloatArray) -> dict[str, Work]:
    """The paper's JSON file and loop, and scikit-learn's exact searches where it is installed."""
    found: dict[str, Work] = {}
    if len(vectors) <= LARGEST_LOOP:
        found["paper: JSON and a loop"] = papers_loop(vectors, queries)
    if _version("scikit-learn") != "not installed":
        found.update(scikit(vectors, queries))
    return found


def papers_loop(vectors: FloatArray, queries: FloatArray) -> Work:
    """The index as the paper has it: read from a JSON file, then compared one by one."""
    with tempfile.TemporaryFile("w+") as file:
        json.dump([{"file": f"{row}.png", "feature": vector.tolist()} for row, vector in enumerate(vectors)], file)
        file.seek(0)
        rows = json.load(file)

    def work(turn: int) -> list[int]:
        query = queries[turn].tolist()
        distances = [
            math.sqrt(sum((a - b) ** 2 for a, b in zip(row["feature"], query, strict=True))) for row in rows
        ]
        return sorted(range(len(rows)), key=distances.__getitem__)[:K]

    return work


def scikit(vectors: FloatArray, queries: FloatArray) -> dict[str, Work]:
    """scikit-learn: brute force and the kd-tree."""
    from sklearn.neighbors import NearestNeighbors

    def contender(algorithm: str) -> Work:
        fitted = NearestNeighbors(n_neighbors=K, algorithm=algorithm).fit(vectors)
        return lambda turn: fitted.kneighbors(queries[turn : turn + 1], return_distance=False)[0].tolist()

    return {f"scikit-learn {algorithm}": contender(algorithm) for algorithm in ("brute", "kd_tree")}


def take_turns(contenders: dict[str, Work], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of every contender in every round."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(rounds):
        for name, work in contenders.items():
            start = time.perf_counter()
            work(turn)
            times[name].append((time.perf_counter() - start) * 1e3)
    return times


def tabulate(times: dict[str, list[float]]) -> dict[str, Any]:
    """Print and return median, quartiles and ratio to the limit."""
    swept = statistics.median(times["limit: one sweep"])
    print(f"{'':34}{'median ms':>12}{'quartiles':>20}{'x limit':>10}")
    table = {}
    for name, taken in times.items():
        low, median, high = statistics.quantiles(taken, n=4)
        table[name] = {"median_ms": median, "quartiles_ms": [low, high], "times_limit": median / swept}
        print(f"{name:34}{median:12.2f}{f'{low:.2f} - {high:.2f}':>20}{median / swept:10.2f}")
    return table


if __name__ == "__main__":
    main()
