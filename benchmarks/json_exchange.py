"""Export and import of many features as JSON: seconds and peak memory, beside the standard library's `json`.

    python benchmarks/json_exchange.py [--rows 1000000] [--peer-rows 100000] [--rounds 1]
        [--folder DIR] [--output FILE.json]

Each step runs in a process of its own, whose peak resident memory is read from the kernel (getrusage). The standard
library's `json` holds the whole document in memory, so it is given fewer rows unless told otherwise. All rounds
share one database; of each step the median is told, with the least and the most, and of memory the most. `read`
only reads and checks the document; `import` is the whole import, which does that twice and writes the rows.

Two steps are the bound of the export: `select` only fetches its rows from the database, `numbers` only writes their
numbers with `orjson`. Nothing that does both in one thread with these libraries is quicker than the two together;
the export reads the rows in another thread while it writes their text.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import reporting
from sqlalchemy import insert

import cbmir_migrations
from cbmir.progress import Silence
from cbmir.services.features.export import export_json, import_json
from cbmir.settings import Settings
from cbmir.store import document_text, encoders, exported
from cbmir.store.document_stream import Document
from cbmir.store.session import Database
from cbmir.store.tables import Base, Encoder, Feature, Frame, Group, Instance, Label, now

DIMENSION = 48
CLOCKS = {"by the clock": "seconds", "by the processor's time": "processor_seconds"}
LIMIT_MB = 300
ROWS_AT_ONCE = 10_000
PACKAGES = ("numpy", "orjson", "ijson", "msgspec", "sqlalchemy")
BOUND = "rows and numbers alone"
PEERS = {"export": "json.dump", BOUND: "json.dump", "read": "json.load", "import": "json.load"}
EVERYBODY = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
SUBCLASSES = ("brain_glioma", "brain_menin", "covid", "normal", "cnv", "drusen")


def main() -> int:
    """Run all steps, print a table, write the figures as JSON; 1 if a step of ours needs more than the limit."""
    arguments = read_arguments()
    if arguments.step:
        perform(arguments.step, Path(arguments.folder), arguments.rows)
        return 0
    report: dict[str, Any] = {**reporting.conditions(*PACKAGES), "dimension": DIMENSION, "rounds": arguments.rounds}
    print(reporting.heading(report))
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        filling = measure("fill", Path(folder), arguments.rows)
        rounds = [one_round(Path(folder), arguments) for _ in range(arguments.rounds)]
        report["database_bytes_a_row"] = (Path(folder) / "full.sqlite").stat().st_size / arguments.rows
    report["steps"] = [together([filling]), *map(together, zip(*rounds, strict=True))]
    report["ratios"] = {name: ratios(rounds, key) for name, key in CLOCKS.items()}
    show(report)
    if arguments.output:
        Path(arguments.output).write_text(json.dumps(report, indent=2))
    return int(any(each["peak_mb"] > LIMIT_MB for each in report["steps"] if each["step"] in ("export", "import")))


def read_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--peer-rows", type=int, default=100_000, help="rows for `json`; 0 leaves it out")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--folder", help="where some 4 GB of a million rows are kept meanwhile")
    parser.add_argument("--output", help="file for the figures as JSON")
    parser.add_argument("--step", choices=[*STEPS], help=argparse.SUPPRESS)
    return parser.parse_args()


def one_round(folder: Path, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Every step but the filling, and then its peers, on what the filling made."""
    for left in folder.glob("copy.sqlite*"):
        left.unlink()
    peer_rows = min(arguments.rows, arguments.peer_rows)
    found = [measure(step, folder, arguments.rows) for step in ("export", "select", "numbers", "read", "import")]
    peers = ("shorten", "json.load", "json.dump") if peer_rows else ()
    return found + [measure(step, folder, peer_rows) for step in peers]


def measure(step: str, folder: Path, rows: int) -> dict[str, Any]:
    """Run one step in a process of its own, which tells seconds, processor seconds and peak in MB first."""
    command = [sys.executable, __file__, "--step", step, "--folder", str(folder), "--rows", str(rows)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    seconds, processor, peak = (float(word) for word in told.splitlines()[0].split())
    return {
        "step": step,
        "rows": rows,
        "seconds": seconds,
        "processor_seconds": processor,
        "peak_mb": peak,
    }


def together(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One step over all rounds."""
    seconds, rows = reporting.spread([run["seconds"] for run in runs]), runs[0]["rows"]
    return {
        "step": runs[0]["step"],
        "rows": rows,
        "seconds": seconds["median"],
        "least_seconds": seconds["least"],
        "most_seconds": seconds["most"],
        "processor_seconds": statistics.median(run["processor_seconds"] for run in runs),
        "rows_per_second": rows / seconds["median"],
        "peak_mb": max(run["peak_mb"] for run in runs),
    }


def ratios(rounds: list[list[dict[str, Any]]], key: str) -> dict[str, dict[str, float]]:
    """How many rows for each of the standard library's in the same round; nothing where it was left out."""
    costs = [cost_of_a_row(steps, key) for steps in rounds]
    return {
        ours: reporting.spread([cost[peer] / cost[ours] for cost in costs])
        for ours, peer in PEERS.items()
        if peer in costs[0]
    }


def cost_of_a_row(steps: list[dict[str, Any]], key: str) -> dict[str, float]:
    """Of each step of a round, and of the export's bound."""
    cost = {each["step"]: each[key] / each["rows"] for each in steps}
    return {**cost, BOUND: cost["select"] + cost["numbers"]}


def fill(folder: Path, rows: int) -> None:
    """Make a database of random features, of a hundred instances a patient."""
    cbmir_migrations.upgrade(url(folder, "full"))
    database = Database(url(folder, "full"))
    random = np.random.default_rng(0)
    with database.write() as session:
        session.add(new_encoder())
        session.execute(insert(Group), [{"id": n, "key": f"p-{n:016x}"} for n in range(1, rows // 100 + 2)])
    for start in range(1, rows + 1, ROWS_AT_ONCE):
        numbers = range(start, min(start + ROWS_AT_ONCE, rows + 1))
        vectors = random.normal(size=(len(numbers), DIMENSION)).astype("<f4")
        with database.write() as session:
            for table, new in synthetic(numbers, vectors).items():
                session.execute(insert(table), new)
    database.dispose()


def new_encoder() -> Encoder:
    """An encoder that nobody trained."""
    return Encoder(
        id="cnn-autoencoder-00000000",
        architecture="cnn-autoencoder",
        weights_file="",
        weights_sha256="0" * 64,
        dimension=DIMENSION,
        preprocessing={"side": 64, "channels": 1},
        training={"seed": 0},
        metrics={},
    )


def synthetic(numbers: range, vectors: np.ndarray[Any, Any]) -> dict[type[Base], list[dict[str, Any]]]:
    """Rows of DICOM instances with one frame each, two labels each and their features."""
    digests = [hashlib.sha256(str(n).encode()).hexdigest() for n in numbers]
    return {
        Instance: [
            {
                "id": n,
                "group_id": n // 100 + 1,
                "file_name": f"IM{n:08d}.dcm",
                "origin": f"/archive/IM{n:08d}.dcm",
                "sha256": digest,
                "sop_instance_uid": f"1.2.826.0.1.3680043.8.498.{n:026d}",
                "study_instance_uid": f"1.2.826.0.1.3680043.8.498.{n // 100:024d}",
                "series_instance_uid": f"1.2.826.0.1.3680043.8.498.{n // 20:025d}",
                "sop_class_uid": "1.2.840.10008.5.1.4.1.1.4",
                "transfer_syntax_uid": "1.2.840.10008.1.2.1",
                "modality": "MR",
                "body_part": "HEAD",
                "created_at": now(),
            }
            for n, digest in zip(numbers, digests, strict=True)
        ],
        Frame: [
            {
                "id": n,
                "instance_id": n,
                "frame_number": 1,
                "picture": digest,
                "rows": 512,
                "columns": 512,
                "pipeline": "dicom-2d/1",
            }
            for n, digest in zip(numbers, digests, strict=True)
        ],
        Label: [
            {"instance_id": n, "name": name, "value": value, "origin": "manifest"}
            for n in numbers
            for name, value in (("modality", "mri"), ("subclass", SUBCLASSES[n % len(SUBCLASSES)]))
        ],
        Feature: [
            {"encoder_id": "cnn-autoencoder-00000000", "frame_id": n, "vector": vector.tobytes()}
            for n, vector in zip(numbers, vectors, strict=True)
        ],
    }


def write_out(folder: Path, _rows: int) -> None:
    """Our export."""
    with (folder / "features.json").open("wb") as out:
        export_json(Database(url(folder, "full")), None, out.write, Silence())


def read_back(folder: Path, rows: int) -> None:
    """Our import, into an empty database."""
    cbmir_migrations.upgrade(url(folder, "copy"))
    with (folder / "features.json").open("rb") as source:
        report = import_json(Database(url(folder, "copy")), Settings(data=folder), source, Silence())
    if report["features"] != rows:
        raise SystemExit(f"{report['features']} of {rows} features came back.")


def read_only(folder: Path, rows: int) -> None:
    """Our way from the document to checked rows, as `json.load` gives unchecked ones; the import does it twice."""
    with (folder / "features.json").open("rb") as source:
        found = sum(len(batch) for batch in Document(source).batches(2_000))
    if found != rows:
        raise SystemExit(f"{found} of {rows} rows were read.")


def select_only(folder: Path, rows: int) -> None:
    """The export's statement, whose rows are dropped."""
    database = Database(url(folder, "full"))
    with database.read() as session:
        found = sum(len(batch.sha256s) for batch in exported.selected(session, encoders.usable(session, None)))
    if found != rows:
        raise SystemExit(f"{found} of {rows} rows were found.")


def write_numbers(_folder: Path, rows: int) -> None:
    """As many features as text, and nothing else."""
    random = np.random.default_rng(0)
    vectors = random.normal(size=(ROWS_AT_ONCE, DIMENSION)).astype("<f4").tobytes()
    numbers = document_text.numbers_to_write(vectors, DIMENSION)
    with told():
        for start in range(0, rows, ROWS_AT_ONCE):
            orjson.dumps(numbers[: rows - start], option=orjson.OPT_SERIALIZE_NUMPY)


def shorten(folder: Path, rows: int) -> None:
    """The same document with fewer rows: each stands on a line of its own."""
    with (folder / "features.json").open("rb") as whole, (folder / "peer.json").open("wb") as part:
        part.writelines(islice(whole, 2 + rows))
        part.write(whole.readline().rstrip(b",\n") + b"\n]}\n")


def peer_load(folder: Path, _rows: int) -> None:
    """The standard library's way in."""
    with (folder / "peer.json").open(encoding="utf-8") as source:
        json.load(source)


def peer_dump(folder: Path, _rows: int) -> None:
    """The standard library's way out, of what it has read; the peak is that of both."""
    with (folder / "peer.json").open(encoding="utf-8") as source:
        document = json.load(source)
    with told(), (folder / "peer-again.json").open("w", encoding="utf-8") as out:
        json.dump(document, out)


def url(folder: Path, name: str) -> str:
    """Of a SQLite database in the folder."""
    return f"sqlite:///{folder / name}.sqlite"


def perform(step: str, folder: Path, rows: int) -> None:
    """Do one step in this process and tell its cost."""
    with told():
        STEPS[step](folder, rows)


@contextmanager
def told() -> Iterator[None]:
    """Print the seconds, the processor's seconds and the peak resident memory in MB at the end: of this process and
    of the largest that it started."""
    began, worked = time.perf_counter(), processor_seconds()
    yield
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kilobytes on Linux
    peak = sum(resource.getrusage(who).ru_maxrss for who in EVERYBODY) * unit / 1e6
    print(time.perf_counter() - began, processor_seconds() - worked, peak)


def processor_seconds() -> float:
    """Of this process and those that it started and that have ended."""
    return sum(used.ru_utime + used.ru_stime for used in map(resource.getrusage, EVERYBODY))


def show(report: dict[str, Any]) -> None:
    """One line a step, then the ratios."""
    print(f"{'step':<12}{'rows':>12}{'seconds':>10}{'from - to':>16}{'processor':>11}{'rows/s':>12}{'peak MB':>10}")
    for each in report["steps"]:
        span = f"{each['least_seconds']:.1f} - {each['most_seconds']:.1f}"
        print(
            f"{each['step']:<12}{each['rows']:>12,}{each['seconds']:>10.1f}{span:>16}"
            f"{each['processor_seconds']:>11.1f}{each['rows_per_second']:>12,.0f}{each['peak_mb']:>10.0f}"
        )
    print(f"the database takes {report['database_bytes_a_row']:,.0f} bytes a row")
    for clock, found in report["ratios"].items():
        for name, figure in found.items():
            print(f"{name}, {clock}: {reporting.told(figure, 2)} times as many rows as {PEERS[name]}")


STEPS: dict[str, Callable[[Path, int], None]] = {
    "fill": fill,
    "export": write_out,
    "select": select_only,
    "numbers": write_numbers,
    "read": read_only,
    "import": read_back,
    "shorten": shorten,
    "json.load": peer_load,
    "json.dump": peer_dump,
}

if __name__ == "__main__":
    raise SystemExit(main())
