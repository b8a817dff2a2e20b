"""How much memory the workers that answer from one index take together.

    python benchmarks/index_memory.py [--images 1000000] [--processes 4] [--folder FOLDER] [--json FILE.json]

Processes start one after another. Each is as ready as a worker for queries, asks for the neighbours of images all
over the archive, with a filter and without, and then waits. After each start the kernel is asked what those that
run hold (`/proc/PID/smaps_rollup`): RSS counts a page for everyone who has it mapped, PSS divides it among them. Of
the index file (`/proc/PID/smaps`) the same is told: if it is one copy, its PSS summed over all processes stays what
the file is, however many they are. The processes that convert what is handed in are not counted.

The installation is filled and the index made first, which takes minutes; `--folder` keeps both for the next run.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kept_installation
import numpy as np
import reporting

from cbmir.settings import Settings
from cbmir.store.filters import Where
from cbmir.store.session import Database

FILTER = ("body_part=PART07",)
PACKAGES = ("numpy", "numba", "onnxruntime", "sqlalchemy")
READY = "ready"


def main() -> None:
    """Run, print, and write the JSON if asked to."""
    arguments = _arguments()
    if arguments.once:
        ask(Settings(data=arguments.folder), arguments.images, arguments.queries)
        return
    with kept_installation.folder(arguments.folder) as folder:
        settings = Settings(data=folder)
        kept_installation.made_ready(settings, arguments.images)
        size = next(settings.indexes.glob("*.index")).stat().st_size
        report = {**reporting.conditions(*PACKAGES), "images": arguments.images, "index_bytes": size}
        print(reporting.heading(report))
        report["together"] = grown(folder, arguments)
    show(report)
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure the memory of processes that share an index.")
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--queries", type=int, default=200, help="of each process, filtered and not")
    parser.add_argument("--folder", type=Path, help="where the installation is made, and kept")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--once", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def ask(settings: Settings, images: int, queries: int) -> None:
    """What one process does: it answers queries, says so, and waits until its input ends."""
    from cbmir.services.retrieval.retrieve import Question, retrieve
    from cbmir_workers import duties
    from cbmir_workers.client import ROLES

    duties.make_ready(ROLES["retrieve"])
    database = Database(settings.resolved_database_url)
    for frame_id in np.linspace(1, images, queries, dtype=int).tolist():
        for where in (Where(), Where.parse(FILTER)):
            retrieve(database, settings, Question(frame_id=frame_id, where=where))
    print(READY, flush=True)
    sys.stdin.read()


def grown(folder: Path, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """What one process holds, what two hold together, and so on."""
    running: list[subprocess.Popen[str]] = []
    together = []
    try:
        for _ in range(arguments.processes):
            running.append(_started(folder, arguments))
            together.append(_summed([held(each.pid) for each in running]))
    finally:
        for each in running:
            each.communicate()
    return together


def _started(folder: Path, arguments: argparse.Namespace) -> subprocess.Popen[str]:
    asked = ["--folder", str(folder), "--images", str(arguments.images), "--queries", str(arguments.queries)]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # as a worker for queries
    process = subprocess.Popen(
        [sys.executable, __file__, "--once", *asked],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None, "it is a pipe"
    if process.stdout.readline().strip() != READY:
        raise SystemExit("a process ended before it had answered")
    return process


def held(process_id: int) -> dict[str, int]:
    """Bytes of one process, in all and of the mapped index."""
    folder = Path(f"/proc/{process_id}")
    (whole,) = _mappings(folder / "smaps_rollup")
    index = [each for each in _mappings(folder / "smaps") if each["name"].endswith(".index")]
    return {
        "rss": whole["Rss"],
        "pss": whole["Pss"],
        "index_rss": sum(each["Rss"] for each in index),
        "index_pss": sum(each["Pss"] for each in index),
        "index_private": sum(each["Private_Clean"] + each["Private_Dirty"] for each in index),
    }


def _mappings(path: Path) -> Iterator[dict[str, Any]]:
    """The mappings that a file of the kernel lists, sizes in bytes."""
    found: dict[str, Any] = {}
    for line in path.read_text().splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            if found:
                yield found
            found = {"name": " ".join(line.split()[5:])}
        elif line.endswith(" kB"):
            name, _, kilobytes = line.partition(":")
            found[name] = int(kilobytes.removesuffix("kB")) * 1024
    yield found


def _summed(processes: list[dict[str, int]]) -> dict[str, Any]:
    return {"processes": len(processes), **{name: sum(each[name] for each in processes) for name in processes[0]}}


def show(report: dict[str, Any]) -> None:
    """Print the table, in MB."""
    print(f"{report['images']:,} images; the index is a file of {report['index_bytes'] / 1e6:.0f} MB")
    print(f"{'':10}{'all of them, MB':>24}{'of the index, MB':>24}{'copies of it':>16}")
    print(f"{'processes':10}{'RSS':>12}{'PSS':>12}{'RSS':>12}{'PSS':>12}{'by PSS':>16}")
    for row in report["together"]:
        sizes = "".join(f"{row[name] / 1e6:12.0f}" for name in ("rss", "pss", "index_rss", "index_pss"))
        print(f"{row['processes']:<10}{sizes}{row['index_pss'] / report['index_bytes']:16.2f}")
    first, last = report["together"][0], report["together"][-1]
    if last is not first:
        each = (last["pss"] - first["pss"]) / (last["processes"] - 1)
        print(f"each further process takes {each / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
