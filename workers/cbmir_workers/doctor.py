"""What `cbmir doctor` looks at: each finding with its remedy."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

import cbmir_migrations
from cbmir.archive.folder import sha256_of
from cbmir.encoders import shipped
from cbmir.encoders.machine import cores
from cbmir.errors import CbmirError, Unavailable
from cbmir.pictures.shelf import Shelf
from cbmir.services.archives.backlog import backlog
from cbmir.services.archives.status import overview
from cbmir.settings import Settings
from cbmir.store import encoders, features, jobs
from cbmir.store.session import Database
from cbmir.store.tables import Encoder, Frame, Instance, Job, now
from cbmir.types import JobState
from cbmir_workers import embedded_redis
from cbmir_workers.client import broker_state, make_app

PACKAGES = ("cbmir", "torch", "onnxruntime", "numpy", "pillow", "pydicom", "sqlalchemy", "celery", "redis", "flask")
LOW_SPACE_BYTES = 1024**3
LOOKED_FOR = 100
"""So many of the newest pictures, whether they are there."""

SILENT_FACTOR = 2
"""A running job silent for so many heartbeat timeouts was not found by a sweeper: no worker runs."""

Check = Callable[[Settings], Iterator["Finding"]]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `remedy` says what to do where it is not fine."""

    name: str
    fine: bool
    detail: str
    remedy: str = ""

    @property
    def line(self) -> str:
        """For people."""
        return f"{'ok ' if self.fine else 'BAD'}  {self.name:<34} {self.detail} {self.remedy}".rstrip()

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


def examine(settings: Settings) -> list[Finding]:
    """Look at everything that an installation needs; starts no server and makes no database."""
    return [finding for check in CHECKS for finding in check(settings)]


def _packages(_settings: Settings) -> Iterator[Finding]:
    yield Finding("python", True, f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    for name in PACKAGES:
        try:
            yield Finding(name, True, version(name))
        except PackageNotFoundError:
            yield Finding(name, False, "is missing.", f"Run `pip install {name}`.")


def _threads(settings: Settings) -> Iterator[Finding]:
    chosen = f"{settings.threads} each" if settings.threads else f"1 for retrieval, {cores()} for other work"
    yield Finding("threads", True, f"{chosen}; {cores()} cores")


def _decoders(_settings: Settings) -> Iterator[Finding]:
    from pydicom.uid import UID

    from cbmir.dicom.codecs import CODECS

    for syntax, codecs in CODECS.items():
        there = [codec.name for codec in codecs if codec.available]
        said = f"{UID(syntax).name}: {', '.join(there) or 'none.'}"
        yield Finding(f"decoder {syntax}", bool(there), said, "" if there else "Run `pip install imagecodecs`.")


def _folder(settings: Settings) -> Iterator[Finding]:
    existing = next(each for each in (settings.data.absolute(), *settings.data.absolute().parents) if each.exists())
    writable = os.access(existing, os.W_OK | os.X_OK)
    yield Finding(
        "data folder",
        writable,
        f"{settings.data.absolute()}{'' if writable else ' cannot be written.'}",
        "" if writable else "Choose another with --data, or change its owner.",
    )
    free = shutil.disk_usage(existing).free
    roomy = free >= LOW_SPACE_BYTES
    yield Finding("free space", roomy, f"{free / 1024**3:.1f} GiB", "" if roomy else "Free some.")


def _database(settings: Settings) -> Iterator[Finding]:
    kind = "PostgreSQL" if settings.database_url.startswith("postgres") else "SQLite"
    state = cbmir_migrations.state(settings.resolved_database_url)
    made = state in ("current", "missing" if not settings.database_url else "current")
    detail = f"{kind}, schema {state}{'' if made else '.'}"
    remedy = "Install the newer cbmir that made it." if state == "ahead" else "Run `cbmir db upgrade`."
    yield Finding("database", made, detail, "" if made else remedy)


def _key(settings: Settings) -> Iterator[Finding]:
    from cbmir.services.ingestion import keys

    if cbmir_migrations.state(settings.resolved_database_url) != "current":
        return
    with _opened(settings) as database:
        known = keys.look(database, settings)
    yield Finding("secret key", True, "the database's" if known else "none was used yet")


def _index(settings: Settings) -> Iterator[Finding]:
    from cbmir.services.retrieval.indexes.backends.choose import check

    if cbmir_migrations.state(settings.resolved_database_url) != "current":
        return
    try:
        with _opened(settings) as database:
            backend = check(database, settings)
    except CbmirError as error:
        yield Finding("index", False, error.reason, error.remedy)
    else:
        yield Finding("index", True, backend.name)


def _broker(settings: Settings) -> Iterator[Finding]:
    if not settings.broker_url:
        yield Finding("embedded Redis", True, f"program {embedded_redis.binary()}")
        if not embedded_redis.is_running(settings):
            yield Finding("broker", True, "embedded, not running; `cbmir up` starts it")
            return
    state = broker_state(make_app(settings))
    kind = "embedded" if not settings.broker_url else "outside"
    waiting = ", ".join(f"{queue} {count}" for queue, count in state.waiting.items())
    trouble = "cannot write" if state.cannot_write else "does not answer"
    remedy = "Free its disk." if state.cannot_write else "Check that it runs and that CBMIR_BROKER_URL is right."
    if state.reachable:
        yield Finding("broker", True, f"{kind}, waiting: {waiting}")
    else:
        yield Finding("broker", False, f"{kind}, {trouble}: {state.reason.rstrip('.')}.", remedy)


def _contents(settings: Settings) -> Iterator[Finding]:
    if cbmir_migrations.state(settings.resolved_database_url) != "current":
        return
    with _opened(settings) as database, database.read() as session:
        yield Finding("gallery", True, f"{session.scalar(select(func.count(Frame.id)))} frames")
        yield from _pictures(session, settings)
        for encoder in encoders.listing(session):
            yield _encoder(settings, encoder, features.count(session, encoder.id))
            yield from _outdated(session, settings, encoder)
        yield from _jobs(session, settings)
        yield from _archives(session)
        yield _received(session, settings)


def _pictures(session: Session, settings: Settings) -> Iterator[Finding]:
    """Whether pictures lie in the data folder; of imported images, which have no origin, they need not."""
    shown = select(Frame.picture).join(Instance).where(Instance.origin != "").order_by(Frame.id.desc())
    newest, shelf = session.scalars(shown.limit(LOOKED_FOR)).all(), Shelf(settings.pictures)
    if missing := sum(not shelf.has(key) for key in newest):
        detail = f"{missing} of the newest {len(newest)} are not in {settings.pictures}."
        remedy = "Put that folder back, or ingest them again, an archive's by `archive sync NAME --again`."
        yield Finding("pictures", False, detail, remedy)


def _archives(session: Session) -> Iterator[Finding]:
    for each in overview(session):  # an archive that is down is no fault of this installation
        reached = "paused" if each.paused else "connected" if each.connected else "not connected"
        detail = f"{reached}, {each.behind:,} behind, {each.held:,} held"
        yield Finding(f"archive {each.name}", True, detail, each.error_message or "")


def _received(session: Session, settings: Settings) -> Finding:
    found = backlog(session, settings)
    return Finding("received objects", not found.reason, found.reason or found.said, found.remedy)


def _encoder(settings: Settings, encoder: Encoder, count: int) -> Finding:
    wrong, remedy = _weights(settings, encoder)
    detail = f"{count} features of {encoder.dimension} numbers{wrong}"
    return Finding(f"encoder {encoder.id}", not wrong, detail, remedy)


def _weights(settings: Settings, encoder: Encoder) -> tuple[str, str]:
    """What is wrong with an encoder's file, and the remedy; both empty where nothing is."""
    file, path = encoder.weights_file, settings.weights / encoder.weights_file
    if file and not path.is_file():
        comes = file == shipped.name()  # when it is used
        return ("", "") if comes else ("; its weights are missing.", f"Put {file} back into {path.parent}.")
    if file and encoder.kept and _sha256(path) != encoder.weights_sha256:  # others' are checked when they are used
        remedy = f"Restore {file} in {path.parent} from a backup, or train again."
        return "; its weights are damaged: they are not those that it was recorded with.", remedy
    return "", ""


def _outdated(session: Session, settings: Settings, encoder: Encoder) -> Iterator[Finding]:
    from cbmir.services.conversion import outdated

    if old := outdated.count(session, encoder.id, settings):
        detail = f"{old} are of pictures that are made otherwise today."
        remedy = f"{outdated.REMEDY} Ingest again what is no longer there."
        yield Finding(f"features of {encoder.id}", False, detail, remedy)


def _jobs(session: Session, settings: Settings) -> Iterator[Finding]:
    counts = jobs.counts(session)
    yield Finding("jobs", True, ", ".join(f"{state} {count}" for state, count in counts.items()))
    if counts[JobState.FAILED]:  # not a fault of the installation: an upload may have been unusable
        yield Finding("failed jobs", True, f"{counts[JobState.FAILED]}.", "See `cbmir jobs --state failed`.")
    silence = now() - timedelta(seconds=SILENT_FACTOR * settings.heartbeat_timeout_seconds)
    dead = select(func.count(Job.id)).where(Job.state == JobState.RUNNING, Job.heartbeat_at < silence)
    if session.scalar(dead):
        yield Finding("dead jobs", False, f"{session.scalar(dead)} without a heartbeat.", "Start `cbmir worker`.")


def _sha256(path: Path) -> str:
    try:
        return sha256_of(path)
    except OSError as error:
        raise Unavailable(
            f"{path} cannot be read: {error.strerror}.", "Change its owner or permissions."
        ) from error


@contextmanager
def _opened(settings: Settings) -> Iterator[Database]:
    database = Database(settings.resolved_database_url)
    try:
        yield database
    finally:
        database.dispose()


def _guarded(name: str, check: Check) -> Check:
    """The check; an error of ours that stops it is itself a finding."""

    def guarded(settings: Settings) -> Iterator[Finding]:
        try:
            yield from check(settings)
        except CbmirError as error:
            yield Finding(name, False, error.reason, error.remedy)

    return guarded


CHECKS: tuple[Check, ...] = (
    _packages,
    _threads,
    _decoders,
    _folder,
    _guarded("database", _database),
    _guarded("secret key", _key),
    _guarded("index", _index),
    _guarded("broker", _broker),
    _guarded("contents", _contents),
)
