"""Installations with a Redis of their own, and real worker processes on them."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from celery import Celery
from PIL import Image
from sqlalchemy import func, select

from cbmir.encoders import weights
from cbmir.encoders.base import Preprocessing
from cbmir.encoders.cnn_autoencoder import CnnAutoencoder
from cbmir.encoders.cnn_encoder import DIMENSION, NAME
from cbmir.pictures.shelf import Shelf
from cbmir.settings import Settings
from cbmir.store import encoders, jobs, tables
from cbmir.store.session import Database
from cbmir.store.tables import Job
from cbmir.types import JobKind, JobState
from cbmir_workers import client, embedded_redis
from cbmir_workers.tasks import Bench
from cbmir_workers.up import child_environment

StartWorker = Callable[[str], "subprocess.Popen[bytes]"]
Upload = Callable[[int], dict[str, object]]
WaitFor = Callable[..., None]

SIDE = 32
"""Of the pictures that the encoder of a `House` takes."""


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
def bench(settings: Settings, database: Database, app: Celery) -> Bench:
    """A worker's, without the worker; its broker is down unless the test asks for one."""
    return Bench(settings, database, app)


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

    def wait(condition: Callable[[], object], seconds: float = 180) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(0.02)

    return wait


class House:
    """An installation as its users see it."""

    def __init__(self, settings: Settings, database: Database, app: Celery, wait_for: WaitFor) -> None:
        self.settings, self.database, self.app, self.wait_for = settings, database, app, wait_for

    def enqueue(self, kind: JobKind, parameters: dict[str, Any]) -> str:
        return client.enqueue(self.database, self.app, kind, parameters).id

    def job(self, job_id: str) -> Job:
        with self.database.read() as session:
            return jobs.get(session, job_id)

    def finish(self, job_id: str) -> Job:
        """Wait until the job has ended, and see that it ended well."""
        self.wait_for(lambda: self.job(job_id).is_final)
        job = self.job(job_id)
        assert job.state == JobState.SUCCEEDED, job.error_message
        return job

    def count(self, table: type[tables.Base]) -> int:
        with self.database.read() as session:
            return session.scalar(select(func.count()).select_from(table)) or 0

    def extracted_more_than(self, count: int) -> None:
        self.wait_for(lambda: self.count(tables.Feature) > count)

    def add_encoder(self) -> str:
        """An encoder with weights as they are before training."""
        network = CnnAutoencoder(SIDE)
        network.initialise(0)
        data = weights.to_bytes(network.state_dict())
        self.settings.weights.mkdir(parents=True)
        (self.settings.weights / "test.safetensors").write_bytes(data)
        with self.database.write() as session:
            return encoders.add(
                session,
                id="test",
                architecture=NAME,
                weights_file="test.safetensors",
                weights_sha256=hashlib.sha256(data).hexdigest(),
                dimension=DIMENSION,
                preprocessing=Preprocessing(SIDE).as_json(),
                training={},
                metrics={},
            ).id

    def add_frames(self, count: int) -> None:
        """One object of so many frames, which all show the same."""
        picture = Shelf(self.settings.pictures).put(np.zeros((SIDE, SIDE), np.uint8))
        with self.database.write() as session:
            numbers = range(1, count + 1)
            frames = [
                tables.Frame(frame_number=number, picture=picture, rows=SIDE, columns=SIDE, pipeline="test")
                for number in numbers
            ]
            group = tables.Group(key="p-1")
            session.add(tables.Instance(group=group, file_name="long.dcm", sha256="0" * 64, frames=frames))


@pytest.fixture
def house(settings: Settings, database: Database, app: Celery, broker: str, wait_for: WaitFor) -> House:
    assert broker
    return House(settings, database, app, wait_for)


@pytest.fixture
def make_house() -> type[House]:
    """For a test that chooses database and broker itself."""
    return House
