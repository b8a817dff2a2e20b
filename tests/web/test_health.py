"""What machines that watch are told."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from cbmir.settings import Settings
from cbmir.store import archives, jobs, ledger
from cbmir.store.session import Database
from cbmir.types import JobKind, RemoteInstance
from cbmir_web.app import create_app
from cbmir_workers import embedded_redis


def test_the_process_lives_without_a_database(settings: Settings) -> None:
    response = create_app(settings).test_client().get("/healthz")
    assert response.json == {"status": "alive"}


def test_it_is_not_ready_without_schema_and_broker(settings: Settings) -> None:
    response = create_app(settings).test_client().get("/readyz")
    assert response.status_code == 503
    schema, broker = response.json["reasons"]
    assert "cbmir db upgrade" in schema
    assert "broker" in broker


def test_it_is_not_ready_with_a_database_that_does_not_answer(settings: Settings) -> None:
    lost = replace(settings, database_url="postgresql+psycopg://nobody@127.0.0.1:9/none")
    response = create_app(lost).test_client().get("/readyz")
    assert response.status_code == 503
    assert "does not answer" in response.json["reasons"][0]


@pytest.mark.redis
@pytest.mark.skipif(not shutil.which("redis-server"), reason="needs redis-server: run `make services`")
def test_it_is_ready_with_both(settings: Settings, database: Database) -> None:  # noqa: ARG001
    with embedded_redis.running(settings):
        response = create_app(settings).test_client().get("/readyz")
    assert response.json == {"reasons": [], "status": "ready"}
    assert response.status_code == 200


def test_the_archive_and_the_requests_are_counted(
    client: FlaskClient, database: Database, settings: Settings, archive: Any
) -> None:
    with database.write() as session:
        jobs.create(session, JobKind.TRAIN, {})
        row = archives.add(
            session, name="pacs", kind="orthanc", address="http://pacs", options={}, sealed_credentials=b""
        )
        archives.answered(session, row.id)
        ledger.take_in(session, row.id, [RemoteInstance("1.2", "1.3", "1.4")], lambda _: True)
    settings.received.mkdir(parents=True)
    (settings.received / "1.2.3.dcm").write_bytes(b"an object")
    os.utime(settings.received / "1.2.3.dcm", (time.time() - 100,) * 2)
    client.get("/library/999")
    client.get("/anything/at/all")
    response = client.get("/metrics")
    assert response.mimetype == "text/plain"
    samples = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }
    assert samples["cbmir_instances", ()] == 4
    assert samples["cbmir_frames", ()] == 5
    assert samples["cbmir_quarantined", ()] == 0
    assert samples["cbmir_features", (("encoder", archive.encoder),)] == 5
    assert samples["cbmir_jobs", (("kind", "train"), ("state", "queued"))] == 1
    assert samples["cbmir_archive_connected", (("archive", "pacs"),)] == 1
    assert samples["cbmir_archive_objects", (("archive", "pacs"), ("state", "behind"))] == 1
    assert samples["cbmir_received_waiting", ()] == 1
    assert 100 <= samples["cbmir_received_waiting_seconds", ()] < 200
    asked = {"method": "GET", "route": "/library/<int:instance_id>", "status": "404"}
    assert samples["cbmir_http_requests_total", tuple(sorted(asked.items()))] == 1
    assert samples["cbmir_http_request_seconds_count", (("route", "/library/<int:instance_id>"),)] == 1
    assert "anything" not in response.text
