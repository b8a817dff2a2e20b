"""A query from the POST of a DICOM file to the JSON with five hits, over many images: where its time goes.

    python benchmarks/query.py [--images 1000000] [--queries 200] [--hold 0] [--rate 20] [--json FILE.json]

The database is filled with drawn features, clustered as an encoder's are; web, broker and one worker for queries
run as they do in an installation, on SQLite. Every query is another picture of 512 x 512 with 12 bits, so that
nothing is known beforehand. Then the steps of the worker are timed apart, in this process. `--hold 300` asks
`--rate` queries a second for five minutes, and tells what the worker's memory was before and after.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import drawn_encoder
import numpy as np
import psutil
import reporting
import requests
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid
from sqlalchemy import insert

import cbmir_migrations
from cbmir.services.conversion.convert import convert_one
from cbmir.services.conversion.isolation import Isolation
from cbmir.services.features.loading import load_encoder
from cbmir.services.retrieval import subject
from cbmir.services.retrieval.gallery import GALLERIES
from cbmir.services.retrieval.scope import scoped
from cbmir.settings import Settings
from cbmir.store import encoders, frames, tables
from cbmir.store.filters import Where
from cbmir.store.session import Database
from cbmir_workers import embedded_redis
from cbmir_workers.up import workers

MEDIAN_MS, NINETY_NINTH_MS = 60, 200
"""What it should take, at most."""

FILTER = ("body_part=PART07",)
"""It keeps one image in a hundred."""
ROWS_AT_ONCE = 20_000
PER_PATIENT = 100
PARTS = 100
"""Parts of the body, each of which one in so many images shows; one in four is a CT, the others are MR."""
K = 5
PACKAGES = ("onnxruntime", "numpy", "sqlalchemy", "celery", "redis", "flask", "waitress")


def main() -> int:
    """Run, print, and write the JSON if asked to; 1 if it takes longer than it should."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        settings = Settings(data=Path(folder), port=arguments.port)
        database = filled(settings, arguments.images, arguments.side)
        with running(settings) as worker:
            answers = ask(settings, arguments.queries)
            filtered = ask(settings, arguments.queries, FILTER)
            held = hold(settings, worker, arguments.rate, arguments.hold) if arguments.hold else {}
        parts = shares(answers, database)
        steps = apart(database, settings, min(arguments.queries, 50))
        database.dispose()
    times = {"ms": percentiles(answers), "filtered_ms": percentiles(filtered)}
    report = {**reporting.conditions(*PACKAGES), **vars(arguments), **times, "parts": parts, "steps": steps, **held}
    show(report)
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2, default=str))
    return int(report["ms"]["50 %"] > MEDIAN_MS or report["ms"]["99 %"] > NINETY_NINTH_MS)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time a query from POST to JSON.")
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--side", type=int, default=128, help="of the encoder's input")
    parser.add_argument("--hold", type=float, default=0, help="seconds of steady load")
    parser.add_argument("--rate", type=float, default=20, help="queries a second of the steady load")
    parser.add_argument("--port", type=int, default=8765)
    parser.add_argument("--folder", type=Path, help="where the installation is made, and removed")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def filled(settings: Settings, count: int, side: int) -> Database:
    """An installation of so many images, one frame each, and an untrained encoder."""
    cbmir_migrations.upgrade(settings.resolved_database_url)
    database = Database(settings.resolved_database_url)
    with database.write() as session:
        encoder_id = drawn_encoder.add(session, settings, side).id
    random = np.random.default_rng(0)
    centres = random.normal(size=(200, 48)) * 3
    with database.write() as session:
        groups = range(1, count // PER_PATIENT + 2)
        session.execute(insert(tables.Group), [{"id": each, "key": f"p-{each:016x}"} for each in groups])
    for start in range(1, count + 1, ROWS_AT_ONCE):
        numbers = range(start, min(start + ROWS_AT_ONCE, count + 1))
        vectors = centres[random.integers(0, 200, len(numbers))] + random.normal(size=(len(numbers), 48)) * 0.3
        with database.write() as session:
            _insert(session, encoder_id, numbers, vectors.astype("<f4"))
    return database


def _insert(session: Any, encoder_id: str, numbers: range, vectors: Any) -> None:
    digests = [hashlib.sha256(str(each).encode()).hexdigest() for each in numbers]
    instances = [
        {
            "id": each,
            "group_id": each // PER_PATIENT + 1,
            "file_name": f"IM{each:08d}.dcm",
            "sha256": digest,
            "sop_instance_uid": f"1.2.826.0.1.3680043.8.498.{each:026d}",
            "study_instance_uid": f"1.2.826.0.1.3680043.8.498.{each // PER_PATIENT:024d}",
            "modality": "MR" if each % 4 else "CT",
            "body_part": f"PART{each // 4 * 7919 % PARTS:02d}",
        }
        for each, digest in zip(numbers, digests, strict=True)
    ]
    shown = [
        {
            "id": each,
            "instance_id": each,
            "frame_number": 1,
            "picture": digest,
            "rows": 512,
            "columns": 512,
            "pipeline": "drawn",
        }
        for each, digest in zip(numbers, digests, strict=True)
    ]
    stored = [
        {"encoder_id": encoder_id, "frame_id": each, "vector": vector.tobytes(), "pipeline": "drawn"}
        for each, vector in zip(numbers, vectors, strict=True)
    ]
    labels = [
        {"instance_id": each, "name": "modality", "value": "mri" if each % 4 else "ct", "origin": "header"}
        for each in numbers
    ]
    for table, rows in (
        (tables.Instance, instances),
        (tables.Frame, shown),
        (tables.Feature, stored),
        (tables.Label, labels),
    ):
        session.execute(insert(table), rows)


def dicom(number: int) -> bytes:
    """An MR image of 512 x 512, 12 of 16 bits, native; another number gives another."""
    random = np.random.default_rng(number)
    soft = np.kron(random.normal(1000, 300, (8, 8)), np.ones((64, 64))) + random.normal(0, 20, (512, 512))
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = MRImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = generate_uid()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    dataset.PatientID, dataset.Modality = f"Q{number}", "MR"
    dataset.Rows = dataset.Columns = 512
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.PixelData = np.clip(soft, 0, 4095).astype("<u2").tobytes()
    stream = BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


@contextmanager
def running(settings: Settings) -> Iterator[psutil.Process]:
    """Broker, web and one worker for queries; gives the worker."""
    with embedded_redis.running(settings):
        environment = {**os.environ, "CBMIR_DATA": str(settings.data), "CBMIR_PORT": str(settings.port)}
        web = subprocess.Popen([sys.executable, "-m", "cbmir", "web"], env=environment, stderr=subprocess.DEVNULL)
        worker = workers(settings, ("retrieve",))[0].start()
        try:
            post(settings, requests.Session(), dicom(0), patience=60)  # waits until both are ready
            yield psutil.Process(worker.pid)
        finally:
            for each in (web, worker):
                each.terminate()
                each.wait()


def post(
    settings: Settings, session: requests.Session, data: bytes, patience: float = 30, where: Sequence[str] = ()
) -> float:
    """One query; milliseconds until its answer was here."""
    url = f"http://127.0.0.1:{settings.port}/api/v1/query?wait={patience}"
    until, asked = time.monotonic() + patience, {"k": K, "where": list(where)}
    while True:
        began = time.perf_counter()
        try:
            answer = session.post(url, files={"file": ("query.dcm", data)}, data=asked, timeout=patience)
            break
        except requests.ConnectionError:
            if time.monotonic() > until:
                raise
            time.sleep(0.5)
    taken = 1000 * (time.perf_counter() - began)
    if answer.status_code != 200 or len(answer.json()["hits"]) != K:
        raise SystemExit(f"a query was not answered: {answer.status_code} {answer.text[:300]}")
    return taken


def ask(settings: Settings, count: int, where: Sequence[str] = ()) -> list[float]:
    """Milliseconds of so many queries, one after the other; others where there is a filter."""
    first = 1 + count * bool(where)
    with requests.Session() as session:
        return [post(settings, session, dicom(first + number), where=where) for number in range(count)]


def hold(settings: Settings, worker: psutil.Process, rate: float, seconds: float) -> dict[str, Any]:
    """A steady load: queries start on time, whether those before them are answered or not."""
    before, taken = _megabytes(worker), []
    files = [dicom(10_000 + number) for number in range(40)]
    with requests.Session() as session, ThreadPoolExecutor(8) as pool:
        began = time.monotonic()
        for number in range(round(rate * seconds)):
            time.sleep(max(0.0, began + number / rate - time.monotonic()))
            taken.append(pool.submit(post, settings, session, files[number % len(files)]))
        answers = [each.result() for each in taken]
    reached = len(answers) / (time.monotonic() - began)
    memory = {"before": before, "after": _megabytes(worker)}
    return {"held_ms": percentiles(answers), "held_per_second": reached, "worker_megabytes": memory}


def _megabytes(process: psutil.Process) -> float:
    return float(sum(each.memory_info().rss for each in (process, *process.children(recursive=True))) / 1e6)


def shares(answers: Sequence[float], database: Database) -> dict[str, float]:
    """Medians in ms: until the worker has the job, its work, and the rest, which is HTTP and the answer."""
    with database.read() as session:
        rows = session.query(tables.Job).order_by(tables.Job.created_at).all()
    done = [row for row in rows if row.started_at and row.finished_at][1 : len(answers) + 1]
    queue = [1000 * (row.started_at - row.created_at).total_seconds() for row in done]
    work = [1000 * (row.finished_at - row.started_at).total_seconds() for row in done]
    rest = [whole - one - two for whole, one, two in zip(answers, queue, work, strict=True)]
    return {name: float(np.median(each)) for name, each in (("queue", queue), ("work", work), ("HTTP", rest))}


def apart(database: Database, settings: Settings, count: int) -> dict[str, dict[str, float]]:
    """Medians in ms, by the clock and of this process' CPU, of what the worker does, step by step."""
    taken: dict[str, list[tuple[float, float]]] = {}

    def timed(name: str, work: Callable[..., Any], *given: Any) -> Any:
        began, began_cpu = time.perf_counter(), time.process_time()
        made = work(*given)
        spent = (1000 * (time.perf_counter() - began), 1000 * (time.process_time() - began_cpu))
        taken.setdefault(name, []).append(spent)
        return made

    with Isolation(1) as isolation:
        for number in range(count + 1):
            _one_apart(database, settings, isolation, dicom(100_000 + number), timed)
    # the first query loads what stays, and does not count
    return {
        name: dict(zip(("clock", "cpu"), np.median(each[1:], axis=0).tolist(), strict=True))
        for name, each in taken.items()
    }


def _one_apart(
    database: Database, settings: Settings, isolation: Isolation, data: bytes, timed: Callable[..., Any]
) -> None:
    name, sha256 = "query.dcm", hashlib.sha256(data).hexdigest()
    timed("convert, in this process", convert_one, data, name, settings, sha256, None)
    converted = timed(
        "convert, in another", isolation.run, name, len(data), convert_one, data, name, settings, sha256, None
    )
    with database.read() as session:
        row = timed("encoder's row", encoders.resolve, session, None)
        gallery = timed("gallery", GALLERIES.of, database, session, row, settings)
        asked = timed("keep the picture, look it up", subject.handed_in, session, converted, name, None, settings)
        scope = timed("scope", scoped, session, gallery, asked, Where(), False)
        some = timed("scope of a filter", scoped, session, gallery, asked, Where.parse(FILTER), False)
        network = timed("encoder", load_encoder, row, settings)
        inputs = timed("prepare", network.preprocessing.apply, asked.pixels)
        feature = timed("encode", network.encode, inputs[np.newaxis])[0]
        found = timed("search", scope.search, feature, K)
        timed("search in a filter", some.search, feature, K)
        timed("read the hits", frames.by_id, session, [frame_id for frame_id, _ in found])
        timed("count the frames", frames.count, session)


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """In ms."""
    return {f"{each} %": float(np.percentile(values, each)) for each in (5, 50, 95, 99)}


def show(report: dict[str, Any]) -> None:
    """Print the tables."""
    print(reporting.heading(report))
    print(f"{report['images']:,} images; ms from POST to JSON:", _row(report["ms"]))
    print(f"with the filter {' and '.join(FILTER)}:", _row(report["filtered_ms"]))
    print("of the median query:", _row(report["parts"]))
    print("the work, step by step:")
    for name, ms in report["steps"].items():
        print(f"  {name:30} {ms['clock']:7.2f} ms, CPU {ms['cpu']:7.2f}")
    if "held_ms" in report:
        print(f"held {report['held_per_second']:.1f} a second for {report['hold']:.0f} s:", _row(report["held_ms"]))
        print("worker's memory, MB:", _row(report["worker_megabytes"]))
    print(f"goal: median below {MEDIAN_MS} ms, 99 % below {NINETY_NINTH_MS} ms")


def _row(values: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.1f}" for name, value in values.items())


if __name__ == "__main__":
    sys.exit(main())
