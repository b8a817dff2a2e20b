from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select

from cbmir.errors import EmptyGallery, JobCancelled, NotFound, TrainingFailed
from cbmir.progress import Silence
from cbmir.services.features.loading import load_encoder
from cbmir.services.training.train import FITTERS, TrainingRequest, train
from cbmir.settings import Settings
from cbmir.store import encoders, instances
from cbmir.store.session import Database
from cbmir.store.tables import Frame, Group, Instance
from cbmir.training.request import TRAINABLE
from cbmir.types import Part

Stock = Callable[..., None]

REQUEST = TrainingRequest(epochs=2, side=16, batch_size=4)

ENDLESS = """
import sys
from pathlib import Path
from cbmir.progress import Silence
from cbmir.services.training.train import TrainingRequest, train
from cbmir.settings import Settings
from cbmir.store.session import Database

settings = Settings(data=Path(sys.argv[1]), threads=1)  # the other run uses all cores
request = TrainingRequest(epochs=int(sys.argv[2]), side=16, batch_size=4)
print(train(Database(settings.resolved_database_url), settings, request, Silence(), run="job-1"))
"""


class StopAt(Silence):
    """Stops the job at a number of batches."""

    def __init__(self, done: int) -> None:
        self.done = done

    def update(self, done: int, total: int, message: str = "", detail: object = None) -> None:
        if message.startswith("epoch") and done == self.done:
            raise JobCancelled("enough")


def test_a_trained_encoder_is_stored(any_database: Database, settings: Settings, stock: Stock) -> None:
    stock(any_database)
    encoder_id = train(any_database, settings, REQUEST, Silence())
    with any_database.read() as session:
        row = encoders.get(session, encoder_id)
    weights = settings.weights / row.weights_file
    sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
    assert row.weights_sha256 == sha256
    assert row.weights_file == f"{encoder_id}.safetensors"
    assert encoder_id == f"cnn-autoencoder-{sha256[:8]}"
    assert (row.dimension, row.preprocessing["side"]) == (48, 16)
    assert [each["epoch"] for each in row.metrics["history"]] == [1, 2]
    assert row.metrics["validation_loss"] == min(each["validation_loss"] for each in row.metrics["history"])
    assert row.training["images"] == {"train": 8, "validation": 2, "test": 2}
    assert row.training["groups"] == {"train": 4, "validation": 1, "test": 1}
    assert load_encoder(row, settings).encode(np.zeros((1, 1, 16, 16), np.float32)).shape == (1, 48)
    assert row.training["pipelines"] == {"image/1": 12}


def test_the_split_is_stored_by_patient(database: Database, settings: Settings, stock: Stock) -> None:
    stock(database)
    encoder_id = train(database, settings, REQUEST, Silence())
    with database.read() as session:
        parts = encoders.parts(session, encoder_id)
        assert parts.keys() == set(session.scalars(select(Group.id)))
    assert set(parts.values()) == set(Part)


def test_the_same_request_gives_the_same_encoder(database: Database, settings: Settings, stock: Stock) -> None:
    stock(database)
    first = train(database, settings, REQUEST, Silence())
    assert train(database, settings, REQUEST, Silence(), run="another") == first
    assert train(database, settings, TrainingRequest(epochs=2, side=16, batch_size=4, seed=1), Silence()) != first
    with database.read() as session:
        assert len(encoders.listing(session)) == 2


def test_nothing_is_left_of_a_finished_training(database: Database, settings: Settings, stock: Stock) -> None:
    stock(database)
    train(database, settings, REQUEST, Silence())
    train(database, settings, REQUEST, Silence(), run="job-1")
    assert [path for path in settings.training.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("run", [None, "job-1"])
def test_a_cancelled_training_goes_on(
    run: str | None, database: Database, settings: Settings, stock: Stock
) -> None:
    stock(database)
    whole = train(database, settings, REQUEST, Silence(), run="whole")
    with pytest.raises(JobCancelled):
        train(database, settings, REQUEST, StopAt(3), run=run)
    with pytest.raises(JobCancelled):
        train(database, settings, REQUEST, StopAt(3), run=run)  # not from the start: 2 batches are done
    assert list(settings.training.rglob("checkpoint.safetensors"))
    assert train(database, settings, REQUEST, Silence(), run=run) == whole


def test_a_killed_training_ends_with_the_same_weights(database: Database, settings: Settings, stock: Stock) -> None:
    stock(database)
    request = TrainingRequest(epochs=20, side=16, batch_size=4)
    whole = train(database, settings, request, Silence(), run="whole")
    with subprocess.Popen([sys.executable, "-c", ENDLESS, str(settings.data), "20"]) as process:
        wait_for_checkpoint(settings.training / "job-1", process)
        os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL, "it was over before it could be killed"
    assert train(database, settings, request, Silence(), run="job-1") == whole


def wait_for_checkpoint(folder: Path, process: subprocess.Popen[bytes]) -> None:
    while not list(folder.rglob("checkpoint.safetensors")):
        assert process.poll() is None
        time.sleep(0.01)


def test_a_run_on_other_data_begins_anew(database: Database, settings: Settings, stock: Stock) -> None:
    stock(database, patients=5)
    with pytest.raises(JobCancelled):
        train(database, settings, REQUEST, StopAt(3), run="job-1")
    stock(database, patients=6)
    fresh = train(database, settings, REQUEST, Silence(), run="fresh")
    assert train(database, settings, REQUEST, Silence(), run="job-1") == fresh
    assert not (settings.training / "job-1").exists()


def test_a_patient_deleted_meanwhile_is_no_harm(database: Database, settings: Settings, stock: Stock) -> None:
    stock(database)

    class Deleting(Silence):
        def update(self, done: int, total: int, *_: object, **__: object) -> None:
            if done == total:
                with database.write() as session:
                    for each in session.scalars(select(Instance).limit(2)).all():
                        instances.delete(session, each)

    encoder_id = train(database, settings, TrainingRequest(epochs=1, side=16), Deleting())
    with database.read() as session:
        assert len(encoders.parts(session, encoder_id)) < 6


def test_a_missing_picture_is_left_out(database: Database, settings: Settings, stock: Stock) -> None:
    stock(database)
    with database.read() as session:
        key = session.scalars(select(Frame.picture)).first()
    next(settings.pictures.rglob(f"{key}.tif")).unlink()
    encoder_id = train(database, settings, REQUEST, Silence())
    with database.read() as session:
        training = encoders.get(session, encoder_id).training
    assert training["unreadable"] == 1
    assert sum(training["images"].values()) == 11


def test_without_any_picture_file_it_fails(database: Database, settings: Settings, stock: Stock) -> None:
    stock(database)
    settings.pictures.rename(settings.data / "elsewhere")
    with pytest.raises(TrainingFailed, match="pictures folder"):
        train(database, settings, REQUEST, Silence())


def test_an_empty_library_says_what_to_do(database: Database, settings: Settings) -> None:
    with pytest.raises(EmptyGallery) as raised:
        train(database, settings, REQUEST, Silence())
    assert "ingest" in raised.value.remedy


def test_two_patients_are_too_few(database: Database, settings: Settings, stock: Stock) -> None:
    stock(database, patients=2)
    with pytest.raises(TrainingFailed, match="2 patients"):
        train(database, settings, REQUEST, Silence())


def test_forms_and_commands_know_what_can_be_trained() -> None:
    assert set(TRAINABLE) == set(FITTERS)


def test_what_cannot_be_trained_is_named(database: Database, settings: Settings) -> None:
    with pytest.raises(NotFound, match="resnet"):
        train(database, settings, TrainingRequest(architecture="resnet"), Silence())
