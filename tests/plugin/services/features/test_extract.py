from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import delete, select

from cbmir.encoders import weights
from cbmir.encoders.base import Preprocessing
from cbmir.encoders.cnn_autoencoder import CnnAutoencoder
from cbmir.errors import EmptyGallery, JobCancelled, NotFound, WeightsMismatch
from cbmir.pictures.shelf import Shelf
from cbmir.progress import Silence
from cbmir.services.features.extract import extract, extract_new
from cbmir.services.features.loading import load_encoder
from cbmir.settings import Settings
from cbmir.store import encoders, features, instances
from cbmir.store.session import Database
from cbmir.store.tables import Encoder, Feature, Frame, Instance

Stock = Callable[..., None]

RUN = """
import sys
from pathlib import Path
from cbmir.progress import Silence
from cbmir.services.features.extract import extract
from cbmir.settings import Settings
from cbmir.store.session import Database

settings = Settings(data=Path(sys.argv[1]), batch_size=1, threads=1)
extract(Database(settings.resolved_database_url), settings, None, Silence())
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path / "data", batch_size=4, threads=2)


def add_encoder(database: Database, settings: Settings, seed: int = 0) -> Encoder:
    """An untrained encoder for 16 x 16."""
    network = CnnAutoencoder(16)
    network.initialise(seed)
    data = weights.to_bytes(network.state_dict())
    sha256 = hashlib.sha256(data).hexdigest()
    settings.weights.mkdir(parents=True, exist_ok=True)
    (settings.weights / f"{seed}.safetensors").write_bytes(data)
    with database.write() as session:
        return encoders.add(
            session,
            id=f"cnn-autoencoder-{sha256[:8]}",
            architecture="cnn-autoencoder",
            weights_file=f"{seed}.safetensors",
            weights_sha256=sha256,
            dimension=48,
            preprocessing=Preprocessing(16).as_json(),
            training={},
            metrics={},
        )


class StopAt(Silence):
    def __init__(self, done: int) -> None:
        self.done = done

    def update(self, done: int, *_: object, **__: object) -> None:
        if done >= self.done:
            raise JobCancelled("enough")


def counts(report: dict[str, object]) -> tuple[object, object, object]:
    return report["extracted"], report["already"], report["failed"]


def test_every_frame_gets_the_feature_of_its_picture(
    any_database: Database, settings: Settings, stock: Stock
) -> None:
    stock(any_database)
    row = add_encoder(any_database, settings)
    report = extract(any_database, settings, row.id, Silence())
    assert report["encoder"] == row.id
    assert counts(report) == (12, 0, 0)
    with any_database.read() as session:
        frame_ids, vectors = features.matrix(session, row.id)
        pictures = {frame.id: frame.picture for frame in session.scalars(select(Frame))}
    encoder, shelf = load_encoder(row, settings), Shelf(settings.pictures)
    for frame_id, vector in zip(frame_ids, vectors, strict=True):
        alone = encoder.encode(encoder.preprocessing.apply(shelf.get(pictures[frame_id]))[None])[0]
        assert np.linalg.norm(alone - vector) < 1e-4 * np.linalg.norm(vector)
    assert len(np.unique(vectors, axis=0)) == 12


def test_features_of_outdated_pictures_are_counted(
    any_database: Database, settings: Settings, stock: Stock
) -> None:
    stock(any_database)
    row = add_encoder(any_database, settings)
    with any_database.write() as session:
        for frame in session.scalars(select(Frame).order_by(Frame.id).limit(5)):
            frame.pipeline = "dicom-2d/0"
    assert extract(any_database, settings, row.id, Silence())["outdated"] == 5
    with any_database.read() as session:
        assert features.pipelines(session, row.id) == {"dicom-2d/0": 5, "image/1": 7}


def test_a_second_run_has_nothing_to_do(database: Database, settings: Settings, stock: Stock) -> None:
    stock(database)
    row = add_encoder(database, settings)
    extract(database, settings, row.id, Silence())
    with database.read() as session:
        generation = encoders.get(session, row.id).generation
    assert counts(extract(database, settings, row.id, Silence())) == (0, 12, 0)
    with database.read() as session:
        assert encoders.get(session, row.id).generation == generation


def test_only_new_frames_are_extracted(database: Database, settings: Settings, stock: Stock) -> None:
    stock(database, patients=4)
    row = add_encoder(database, settings)
    extract(database, settings, row.id, Silence())
    stock(database, patients=6)
    assert counts(extract(database, settings, row.id, Silence())) == (4, 8, 0)


def test_what_is_new_is_found_without_looking_at_what_is_old(
    database: Database, settings: Settings, stock: Stock
) -> None:
    encoder = add_encoder(database, settings)
    stock(database, patients=2)
    assert extract_new(database, settings, Silence()) == 4
    with database.write() as session:  # a gap, as a picture that could not be read leaves it
        session.execute(delete(Feature).where(Feature.frame_id == 2))
    stock(database, patients=3)
    assert extract_new(database, settings, Silence()) == 2
    assert extract_new(database, settings, Silence()) == 0
    with database.read() as session:
        assert features.count_missing(session, encoder.id) == 1
    assert extract(database, settings, None, Silence())["extracted"] == 1


def test_a_cancelled_run_goes_on_where_it_was(database: Database, settings: Settings, stock: Stock) -> None:
    stock(database)
    row = add_encoder(database, settings)
    with pytest.raises(JobCancelled):
        extract(database, settings, row.id, StopAt(4))
    with database.read() as session:
        assert features.count(session, row.id) == 4
    assert counts(extract(database, settings, row.id, Silence())) == (8, 4, 0)


def test_a_killed_run_loses_and_repeats_nothing(database: Database, settings: Settings, stock: Stock) -> None:
    stock(database, patients=40)
    row = add_encoder(database, settings)
    process = subprocess.Popen([sys.executable, "-c", RUN, str(settings.data)])
    wait_for_features(database, row.id, process)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it was over before it could be killed"
    with database.read() as session:
        before = features.count(session, row.id)
    assert 0 < before < 80
    assert counts(extract(database, settings, row.id, Silence())) == (80 - before, before, 0)


def wait_for_features(database: Database, encoder_id: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while True:
        with database.read() as session:
            if features.count(session, encoder_id):
                return
        assert process.poll() is None
        assert time.monotonic() < deadline


def test_two_runs_at_once_do_no_harm(any_database: Database, settings: Settings, stock: Stock) -> None:
    stock(any_database, patients=20)
    row = add_encoder(any_database, settings)
    with ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(lambda _: extract(any_database, settings, row.id, Silence()), range(2)))
    assert sum(report["extracted"] for report in reports) == 40
    assert all(report["extracted"] + report["already"] == 40 for report in reports)
    with any_database.read() as session:
        assert features.count(session, row.id) == 40


def test_a_picture_that_cannot_be_read_holds_up_no_other(
    database: Database, settings: Settings, stock: Stock
) -> None:
    stock(database)
    row = add_encoder(database, settings)
    missing, damaged, *_ = sorted(settings.pictures.rglob("*.tif"))
    missing.unlink()
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:45] + bytes(len(whole) - 65) + whole[-20:])
    report = extract(database, settings, row.id, Silence())
    assert counts(report) == (10, 0, 2)
    assert sorted("damaged" in reason for reason in report["reasons"].values()) == [False, True]
    assert any(missing.stem in reason for reason in report["reasons"].values())


@pytest.mark.parametrize("when", [4, 12])
def test_a_frame_deleted_meanwhile_is_no_harm(
    database: Database, settings: Settings, stock: Stock, when: int
) -> None:
    stock(database)
    row = add_encoder(database, settings)

    class Deleting(Silence):
        def update(self, done: int, *_: object, **__: object) -> None:
            if done == when:  # the next batches are being encoded, or none is left
                with database.write() as session:
                    instances.delete(
                        session, session.scalars(select(Instance).order_by(Instance.id.desc())).first()
                    )

    assert extract(database, settings, row.id, Deleting())["already"] == 0
    with database.read() as session:
        assert features.count(session, row.id) == 11


def test_without_an_id_it_is_the_active_one(database: Database, settings: Settings, stock: Stock) -> None:
    stock(database)
    active = add_encoder(database, settings, seed=1)
    extract(database, settings, active.id, Silence())
    add_encoder(database, settings, seed=2)
    assert extract(database, settings, None, Silence())["encoder"] == active.id


def test_an_empty_library_says_what_to_do(database: Database, settings: Settings) -> None:
    add_encoder(database, settings)
    with pytest.raises(EmptyGallery) as raised:
        extract(database, settings, None, Silence())
    assert "ingest" in raised.value.remedy


def test_without_an_encoder_it_says_what_to_do(database: Database, settings: Settings, stock: Stock) -> None:
    stock(database)
    with pytest.raises(NotFound) as raised:
        extract(database, settings, None, Silence())
    assert "cbmir train" in raised.value.remedy


@pytest.mark.parametrize("file_name", ["", "../elsewhere.safetensors", "gone.safetensors"])
def test_an_encoder_without_its_weights_is_clear(file_name: str, database: Database, settings: Settings) -> None:
    row = add_encoder(database, settings)
    row.weights_file = file_name
    with pytest.raises(NotFound, match="weights") as raised:
        load_encoder(row, settings)
    assert "train an encoder here" in raised.value.remedy


def test_other_weights_are_refused(database: Database, settings: Settings, stock: Stock) -> None:
    stock(database)
    row = add_encoder(database, settings)
    (settings.weights / row.weights_file).write_bytes(b"something else")
    with pytest.raises(WeightsMismatch, match=row.weights_file):
        extract(database, settings, row.id, Silence())


def test_an_encoder_is_loaded_once(database: Database, settings: Settings) -> None:
    row = add_encoder(database, settings)
    assert load_encoder(row, settings) is load_encoder(row, replace(settings, threads=1))
