"""Installations with a Redis of their own, and real worker processes on them."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
from celery import Celery
from PIL import Image

from cbmir.settings import Settings
from cbmir.store import jobs
from cbmir.store.session import Database
from cbmir.store.tables import Job
from cbmir_workers import client, embedded_redis
from cbmir_workers.up import child_environment

StartWorker = Callable[[str], "subprocess.Popen[bytes]"]
Upload = Callable[[int], dict[str, object]]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """An installation whose dead workers are noticed soon."""
    return replace(settings, heartbeat_seconds=0.2, heartbeat_timeout_seconds=5.0, batch_size=2)


@pytest.fixture
def broker(settings: Settings) -> Iterator[str]:
    """The installation's own Redis, running."""
    with embedded_redis.running(settings) as url:
        yield url


@pytest.fixture
def app(settings: Settings) -> Iterator[Celery]:
    """The installation's Celery application, whether or not its broker runs."""
    app = client.make_app(settings)
    yield app
    app.close()


@pytest.fixture
def start_worker(settings: Settings) -> Iterator[StartWorker]:
    """Starts a worker process of a role; all are killed at the end."""
    started: list[subprocess.Popen[bytes]] = []

    def start(role: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "cbmir", "worker", "--role", role]
        environment = child_environment(replace(settings, broker_url=embedded_redis.url(settings)))
        started.append(subprocess.Popen(command, env=environment))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def upload(settings: Settings) -> Upload:
    """Hands in so many different small images; gives the parameters of their ingest job."""

    def hand_in(count: int) -> dict[str, object]:
        folder = settings.uploads / "test"
        folder.mkdir(parents=True)
        noise = np.random.default_rng(0)
        for number in range(count):
            Image.fromarray(noise.integers(0, 256, (16, 16), np.uint8)).save(folder / str(number), "PNG")
        return {"upload": "test", "files": {str(number): f"{number}.png" for number in range(count)}}

    return hand_in


@pytest.fixture
def job_of(database: Database) -> Callable[[str], Job]:
    """The job's row as it is now."""

    def look(job_id: str) -> Job:
        with database.read() as session:
            return jobs.get(session, job_id)

    return look


@pytest.fixture
def wait_for() -> Callable[..., None]:
    """Waits until a condition holds; fails the test after some seconds."""

    def wait(condition: Callable[[], object], seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(0.02)

    return wait
