"""One worker process: a solo Celery worker that consumes the queues of one role.

Solo, because torch hangs in a child that was forked after it had run; there is one process for each role instead.
"""

from __future__ import annotations

import logging
import socket
import warnings
from collections.abc import Callable, Collection
from typing import Any

from celery import Celery, signals

from cbmir.errors import CbmirError
from cbmir.services.retrieval.indexes.backends.choose import check
from cbmir.settings import Settings
from cbmir.store import encoders
from cbmir.store.session import Database
from cbmir.types import JobKind
from cbmir_workers import celery_log, duties, embedded_redis, tasks
from cbmir_workers.client import make_app
from cbmir_workers.follower import Followers
from cbmir_workers.housekeeping import housekeeper
from cbmir_workers.queues import QUEUES, ROLES
from cbmir_workers.sweeper import sweeper

SEARCHING = {JobKind.RETRIEVE, JobKind.EXTRACT, JobKind.SYNC}
"""What needs the encoder in use or its index."""

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"

log = logging.getLogger(__name__)


def run(settings: Settings, database: Database, role: str) -> int:
    """Work until SIGTERM or SIGINT; then a running job goes back to the queue at its next step.

    Args:
        settings: the installation's.
        database: the installation's.
        role: one of `cbmir_workers.queues.ROLES`.

    Returns:
        The process's exit status.

    Raises:
        cbmir.errors.BrokerUnavailable: if the embedded Redis does not start.
        cbmir.errors.BadRequest, cbmir.errors.Unavailable: if the index that the settings name cannot be used.
    """
    if SEARCHING.intersection(ROLES[role]):
        check(database, settings)
    with embedded_redis.running(settings):
        bench = tasks.Bench(settings, database, make_app(settings))
        tasks.register(bench)
        _listen(bench, role)
        duties.make_ready(ROLES[role])
        _warm(bench, ROLES[role])
        return _consume(bench.app, role)


def environment(settings: Settings, role: str) -> dict[str, str]:
    """What a worker of this role is best started with.

    For retrieval one thread of linear algebra: a single query gains little from more, and loses much on a busy
    machine. The other services set their threads themselves.
    """
    if role != "retrieve":
        return {}
    threads = str(settings.threads or 1)
    return dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), threads)


def _consume(app: Celery, role: str) -> int:
    # it warns root of pickle, which no message of ours may hold
    warnings.filterwarnings("ignore", message="You're running the worker with superuser privileges")
    worker = app.Worker(
        hostname=f"{role}@{socket.gethostname()}",
        pool="solo",
        queues=[QUEUES[kind] for kind in ROLES[role]],
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        quiet=True,
    )
    worker.start()
    return int(worker.exitcode or 0)


def _listen(bench: tasks.Bench, role: str) -> None:
    """Hear of Celery's comings and goings."""
    kinds = ROLES[role]
    sweeping = sweeper(bench.database, bench.app, bench.settings, bench.stop)
    followers = Followers(bench.database, bench.app, bench.settings, bench.stop)
    _on(signals.setup_logging, _set_up_logging)
    _on(signals.worker_ready, sweeping.start)
    if JobKind.SYNC in kinds:
        _on(signals.worker_ready, followers.start)
    if JobKind.INGEST in kinds:
        _on(signals.worker_ready, housekeeper(bench.database, bench.settings, bench.stop).start)
    _on(signals.worker_ready, lambda: log.info("the worker of role %s is ready", role))
    _on(signals.worker_shutting_down, bench.stop.set)


def _on(signal: Any, action: Callable[[], None]) -> None:
    signal.connect(lambda **_: action(), weak=False)


def _set_up_logging() -> None:
    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT)
    logging.getLogger("celery").setLevel(logging.WARNING)  # of each job it would repeat what ours says
    logging.getLogger(celery_log.CONNECTION).setLevel(logging.INFO)
    for handler in logging.getLogger().handlers:
        handler.addFilter(celery_log.CeleryLog())


def _warm(bench: tasks.Bench, kinds: Collection[JobKind]) -> None:
    """Load the encoder in use, and for queries its gallery, so that the first job does not wait for them."""
    from cbmir.services.features.loading import load_encoder
    from cbmir.services.retrieval.gallery import GALLERIES

    if not SEARCHING.intersection(kinds):
        return
    try:
        with bench.database.read() as session:
            encoder = encoders.resolve(session, None)
            if JobKind.RETRIEVE in kinds:
                GALLERIES.of(bench.database, session, encoder, bench.settings)
        load_encoder(encoder, bench.settings)
    except CbmirError as error:
        log.info("nothing to load beforehand: %s", error.code)
