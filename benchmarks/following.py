"""Objects that come to, and go from, a real Orthanc that real workers follow: when is each found, and when gone?"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event, Thread

import hospital
import requests
from pydicom import dcmread
from pynetdicom import AE
from pynetdicom.sop_class import CTImageStorage
from sqlalchemy import select

from cbmir.archive.connection import ArchiveKind
from cbmir.settings import Settings
from cbmir.store import encoders, features, jobs
from cbmir.store.filters import Where
from cbmir.store.session import Database
from cbmir.store.tables import Encoder, Feature, Frame, Instance
from cbmir.types import JobKind
from cbmir_workers import client, embedded_redis
from cbmir_workers.supervisor import Program
from cbmir_workers.up import child_environment, workers

POLL_SECONDS = 0.02
LONGEST_SECONDS = 120.0
WARM = 20
"""Objects that come before those that are measured."""


@dataclass(frozen=True)
class Hospital:
    """An Orthanc, and an installation whose workers follow it."""

    server: hospital.Orthanc
    settings: Settings
    database: Database


@contextmanager
def running(folder: Path, *, script: bool) -> Iterator[Hospital]:
    """All of it, in processes of their own; with the script, the web too, which it tells."""
    port = hospital.free_port()
    with ExitStack() as stack:
        server = stack.enter_context(
            hospital.orthanc(folder / "orthanc", f"http://127.0.0.1:{port}" if script else "")
        )
        connection = server.connection(ArchiveKind.ORTHANC)
        made = hospital.installation(folder / "data", connection, encoder=True)
        settings, database = stack.enter_context(made)
        settings = replace(settings, port=port)
        stack.enter_context(embedded_redis.running(settings))
        programs = workers(settings, ("archive", "retrieve"))
        programs += [Program("web", ("web",), child_environment(settings))] if script else []
        for program in programs:
            stack.enter_context(_started(program))
        if script:
            hospital.wait_for(lambda: requests.get(f"http://127.0.0.1:{port}/readyz", timeout=5))
        yield Hospital(server, settings, database)


@contextmanager
def _started(program: Program) -> Iterator[subprocess.Popen[bytes]]:
    process = program.start()
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def arrivals(folder: Path, count: int, per_second: float, *, script: bool) -> tuple[list[float], float]:
    """Seconds from each C-STORE's beginning until the feature is stored; then those of a query for the last."""
    with running(folder, script=script) as here:
        files = hospital.draw(folder / "objects", WARM + count)
        begun, found, ended = {}, {}, Event()
        watcher = Thread(target=_watch, args=(here.database, found, ended), daemon=True)
        watcher.start()
        _send(here.server, files[:WARM], per_second, begun)
        _wait_until(lambda: len(found) == WARM)
        generation = _generation(here.database)
        _send(here.server, files[WARM:], per_second, begun)
        _wait_until(lambda: len(found) == len(files))
        ended.set()
        watcher.join()
        assert _generation(here.database) > generation, "no cached index would learn of the new features"
        taken = [found[uid] - moment for uid, moment in begun.items()]
        return taken[WARM:], _answered(here, [*begun][-1])


def _send(server: hospital.Orthanc, files: list[Path], per_second: float, begun: dict[str, float]) -> None:
    """Over one association that stays, evenly in time."""
    entity = AE(ae_title="BENCHMARK")
    entity.add_requested_context(CTImageStorage)
    association = entity.associate("127.0.0.1", server.dicom_port, ae_title="ORTHANC")
    due = time.perf_counter()
    for file in files:
        dataset = dcmread(file)
        time.sleep(max(0.0, due - time.perf_counter()))
        begun[str(dataset.SOPInstanceUID)] = time.perf_counter()
        assert association.send_c_store(dataset).Status == 0
        due += 1 / per_second
    association.release()


def _watch(database: Database, found: dict[str, float], ended: Event) -> None:
    """Note when each object's feature is there; the encoder's generation grows in the same transaction."""
    last = 0
    while not ended.wait(POLL_SECONDS):
        new = select(Feature.id, Instance.sop_instance_uid).join(Frame, Frame.id == Feature.frame_id)
        new = new.join(Instance, Instance.id == Frame.instance_id).where(Feature.id > last).order_by(Feature.id)
        with database.read() as session:
            rows = session.execute(new).all()
        for feature, uid in rows:
            found.setdefault(uid, time.perf_counter())
            last = feature


def _generation(database: Database) -> int:
    with database.read() as session:
        return session.scalar(select(Encoder.generation)) or 0


def _answered(here: Hospital, uid: str) -> float:
    """Ask for what looks like an object; it is itself among the gallery, so that its neighbours are found."""
    nothing = dict.fromkeys(("upload", "frame_id", "encoder"))
    asked = {**nothing, "sop_instance_uid": uid, "frame_number": 1, "k": 5, "where": Where().as_json()}
    began = time.perf_counter()
    app = client.make_app(here.settings)
    job = client.enqueue(here.database, app, JobKind.RETRIEVE, {**asked, "exclude_same_patient": False})
    while True:
        with here.database.read() as session:
            row = jobs.get(session, job.id)
        if row.state not in ("queued", "running"):
            break
        time.sleep(POLL_SECONDS)
    if row.state != "succeeded" or len(row.result["hits"]) < 5:
        sys.exit(f"the query {row.state}: {row.error_message or row.result}")
    return time.perf_counter() - began


def deletions(folder: Path, count: int, *, script: bool) -> list[float]:
    """Seconds from each DELETE until neither the object nor a feature of it is here."""
    with running(folder, script=script) as here:
        files = hospital.draw(folder / "objects", 2 * count)
        hospital.send(here.server, folder / "objects")
        _wait_until(lambda: _stored(here.database) == len(files))
        ids = here.server.ask("GET", "/instances").json()
        return [_gone(here, each) for each in ids[:count]]


def _gone(here: Hospital, orthanc_id: str) -> float:
    uid = here.server.ask("GET", f"/instances/{orthanc_id}/simplified-tags").json()["SOPInstanceUID"]
    began = time.perf_counter()
    here.server.ask("DELETE", f"/instances/{orthanc_id}")
    _wait_until(lambda: not _is_known(here.database, uid))
    return time.perf_counter() - began


def _is_known(database: Database, uid: str) -> bool:
    with database.read() as session:
        return session.scalar(select(Instance.id).where(Instance.sop_instance_uid == uid)) is not None


def _stored(database: Database) -> int:
    with database.read() as session:
        return features.count(session, encoders.resolve(session, None).id)


def _wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.perf_counter() + LONGEST_SECONDS
    while not holds():
        if time.perf_counter() > deadline:
            sys.exit("it did not happen: see what the workers say above")
        time.sleep(POLL_SECONDS)
