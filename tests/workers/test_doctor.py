"""`cbmir doctor` finds what is wrong, says what to do, and tells by its exit status."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import redis
from click.testing import CliRunner
from sqlalchemy import text

from cbmir.cli.context import Context
from cbmir.dicom.codecs import CODECS
from cbmir.encoders import shipped
from cbmir.pictures.shelf import Shelf
from cbmir.settings import Settings
from cbmir.store import encoders, features, instances, jobs
from cbmir.store.session import Database
from cbmir.store.tables import Encoder, now
from cbmir.types import JobKind, NewFrame
from cbmir_workers import embedded_redis
from cbmir_workers.commands import doctor
from cbmir_workers.doctor import Finding, examine


def findings(settings: Settings) -> dict[str, Finding]:
    return {each.name: each for each in examine(settings)}


def wrong(settings: Settings) -> dict[str, Finding]:
    """What is not fine; each must say what to do."""
    found = {name: each for name, each in findings(settings).items() if not each.fine}
    assert all(each.remedy for each in found.values())
    return found


def test_a_new_installation_is_healthy_and_nothing_is_started(settings: Settings) -> None:
    found = findings(settings)
    assert wrong(settings) == {}
    assert found["database"].detail == "SQLite, schema missing"
    assert "not running" in found["broker"].detail
    assert not (settings.data / "cbmir.sqlite").exists()


def test_every_transfer_syntax_has_a_decoder(settings: Settings) -> None:
    decoders = [each for name, each in findings(settings).items() if name.startswith("decoder ")]
    assert len(decoders) == len(CODECS) >= 13
    assert all(each.fine for each in decoders)
    assert "JPEG 2000" in findings(settings)["decoder 1.2.840.10008.1.2.4.90"].detail


@pytest.mark.usefixtures("database", "broker")
def test_what_runs_is_described(settings: Settings) -> None:
    found = findings(settings)
    waiting = "ingest 0, extract 0, train 0, evaluate 0, retrieve 0, sync 0, report 0, free 0, explain 0, verify 0"
    assert found["broker"].detail == f"embedded, waiting: {waiting}"
    assert found["database"].detail == "SQLite, schema current"
    assert found["gallery"].detail == "0 frames"


def test_an_outside_broker_that_is_silent_is_wrong_and_its_password_untold(settings: Settings) -> None:
    elsewhere = replace(settings, broker_url="redis://:geheim@127.0.0.1:1/0")
    (finding,) = wrong(elsewhere).values()
    assert finding.name == "broker"
    assert "geheim" not in finding.line


@pytest.mark.usefixtures("broker")
def test_a_broker_that_cannot_write_to_its_disk_is_wrong_for_that_reason(
    settings: Settings, wait_for: Callable[..., None]
) -> None:
    connection = redis.Redis(unix_socket_path=str(embedded_redis.socket_path(settings)))
    (embedded_redis.folder(settings) / "dump.rdb").mkdir()  # where a snapshot would have to be
    connection.config_set("save", "3600 1")
    connection.set("something", "1")
    connection.bgsave()
    wait_for(lambda: connection.info("persistence")["rdb_last_bgsave_status"] == "err")
    (finding,) = wrong(settings).values()
    assert finding.name == "broker"
    assert "cannot write" in finding.detail
    assert "disk" in finding.remedy
    connection.config_set("save", "")


def test_a_database_that_is_silent_is_wrong(settings: Settings) -> None:
    elsewhere = replace(settings, database_url="postgresql+psycopg://nobody:geheim@127.0.0.1:1/none")
    found = wrong(elsewhere)
    assert "does not answer" in found["database"].detail
    assert "geheim" not in found["database"].line


def test_an_outside_database_without_tables_needs_an_upgrade(settings: Settings, tmp_path: Path) -> None:
    elsewhere = replace(settings, database_url=f"sqlite:///{tmp_path / 'other.sqlite'}")
    assert wrong(elsewhere)["database"].remedy == "Run `cbmir db upgrade`."


def test_a_job_without_a_heartbeat_and_weights_that_are_gone_are_found(
    settings: Settings, database: Database
) -> None:
    with database.write() as session:
        job = jobs.create(session, JobKind.TRAIN, {})
        jobs.claim(session, job.id)
        job.heartbeat_at = now() - timedelta(hours=1)
        session.add(
            Encoder(
                id="lost",
                architecture="cnn-autoencoder",
                weights_file="lost.safetensors",
                weights_sha256="0" * 64,
                dimension=48,
                preprocessing={},
                training={},
                metrics={},
            )
        )
    assert set(wrong(settings)) == {"dead jobs", "encoder lost"}


@pytest.mark.usefixtures("database")
def test_received_objects_that_wait_for_workers_are_found(settings: Settings) -> None:
    assert findings(settings)["received objects"].detail == "0 received objects wait to be recorded"
    settings.received.mkdir(parents=True)
    (settings.received / "1.2.3.dcm").write_bytes(b"an object")
    os.utime(settings.received / "1.2.3.dcm", (0, 0))
    assert set(wrong(settings)) == {"received objects"}


def test_weights_that_are_damaged_are_found(settings: Settings, database: Database) -> None:
    settings.weights.mkdir(parents=True)
    for name in ("whole", "cut"):
        (settings.weights / f"{name}.safetensors").write_bytes(name.encode())
    sha256 = hashlib.sha256(b"whole").hexdigest()
    what = {"architecture": "onnx", "weights_sha256": sha256, "dimension": 48, "preprocessing": {}, "training": {}}
    with database.write() as session:
        for name in ("whole", "cut"):
            session.add(Encoder(id=name, weights_file=f"{name}.safetensors", metrics={}, kept=True, **what))
    (finding,) = wrong(settings).values()
    assert (finding.name, "damaged" in finding.detail) == ("encoder cut", True)
    assert "cut.safetensors" in finding.remedy


def test_the_encoder_that_comes_with_the_product_lacks_nothing(settings: Settings, database: Database) -> None:
    described = {name: shipped.description()[name] for name in ("architecture", "dimension", "preprocessing")}
    with database.write() as session:
        session.add(
            Encoder(
                id="default",
                weights_file=shipped.name(),
                weights_sha256="0" * 64,
                training={},
                metrics={},
                **described,
            )
        )
    assert not (settings.weights / shipped.name()).exists()
    assert not wrong(settings)


def test_features_of_an_earlier_conversion_are_found(settings: Settings, database: Database) -> None:
    with database.write() as session:
        encoder = encoders.add(
            session,
            id="net",
            architecture="cnn-autoencoder",
            weights_file="",
            weights_sha256="0" * 64,
            dimension=1,
            preprocessing={},
            training={},
            metrics={},
        )
        stored = instances.add(
            session,
            header=None,
            file_name="a.png",
            origin="",
            sha256="0" * 64,
            group_key="p-1",
            frames=[NewFrame(1, "0" * 64, 1, 1, "picture-2d/0"), NewFrame(2, "1" * 64, 1, 1, "elsewhere/1")],
            labels={},
        )
        features.add_batch(session, encoder, [each.id for each in stored.frames], np.ones((2, 1), np.float32))
    (finding,) = wrong(settings).values()
    assert (finding.name, finding.detail[:2]) == ("features of net", "1 ")
    assert finding.remedy.startswith("Run `cbmir reconvert`, then `cbmir extract`.")


def test_pictures_that_are_not_there_are_found_but_for_imported_images(
    settings: Settings, database: Database
) -> None:
    there = Shelf(settings.pictures).put(np.zeros((1, 1), np.uint8))
    with database.write() as session:
        for number, (origin, key) in enumerate([("/in/a", there), ("/in/b", "1" * 64), ("", "2" * 64)]):
            instances.add(
                session,
                header=None,
                file_name=f"{number}.png",
                origin=origin,
                sha256=str(number) * 64,
                group_key="p-1",
                frames=[NewFrame(1, key, 1, 1, "picture-2d/0")],
                labels={},
            )
    (finding,) = wrong(settings).values()
    assert (finding.name, finding.detail[:19]) == ("pictures", "1 of the newest 2 a")


def test_a_database_of_a_newer_version_is_left_alone(settings: Settings, database: Database) -> None:
    with database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = 'future'"))
    assert "newer" in wrong(settings)["database"].remedy


@pytest.mark.parametrize(("broker_url", "status"), [("", 0), ("redis://127.0.0.1:1/0", 1)])
def test_exit_status_and_json(settings: Settings, broker_url: str, status: int) -> None:
    context = Context(replace(settings, broker_url=broker_url))
    result = CliRunner().invoke(doctor, ["--json"], obj=context)
    document = json.loads(result.stdout)
    assert result.exit_code == status
    assert document["healthy"] == (status == 0)
    assert {"name", "fine", "detail", "remedy"} == set(document["findings"][0])
    lines = CliRunner().invoke(doctor, [], obj=context).stdout.splitlines()
    assert len(lines) == len(document["findings"])
    assert any(line.startswith("BAD  broker") for line in lines) == (status == 1)
