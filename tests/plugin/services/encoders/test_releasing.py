"""An encoder of an installation becomes the three files that come with the product."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cbmir.encoders import shipped
from cbmir.encoders.picture_split import PictureSplit
from cbmir.errors import BadRequest, NotFound
from cbmir.progress import Silence
from cbmir.services.encoders.releasing import release
from cbmir.services.training.train import TrainingRequest, train
from cbmir.settings import Settings
from cbmir.store import encoders, frames, instances
from cbmir.store.session import Database
from cbmir.store.training import pictures
from cbmir.types import NewFrame


@pytest.fixture
def trained(database: Database, settings: Settings, stock: Callable[..., None]) -> str:
    stock(database)
    return train(database, settings, TrainingRequest(epochs=1, side=16, batch_size=4), Silence())


def test_the_files_are_the_encoder_and_the_parts_of_its_pictures(
    database: Database, settings: Settings, trained: str, tmp_path: Path
) -> None:
    with database.write() as session:
        encoders.record_evaluation(session, trained, {"label": "subclass"})
    paths = release(database, settings, trained, tmp_path / "new")
    assert [path.name for path in paths] == [shipped.FILE, shipped.DESCRIPTION, shipped.SPLIT]
    weights, description, split = (path.read_bytes() for path in paths)
    assert trained.endswith(hashlib.sha256(weights).hexdigest()[:8])
    described = json.loads(description)
    assert described.keys() == shipped.description().keys()
    assert "evaluations" not in described["metrics"]
    found = PictureSplit.from_bytes(split, shipped.SPLIT)
    assert found.is_of(described["training"])
    with database.read() as session:
        parts = encoders.parts(session, trained)
        for group, file, picture in pictures(session):
            assert found.part(file) == found.part(picture) == parts[group]
        assert len(found.part_of) == 2 * 12
        assert not any(key.encode() in weights + description + split for key in frames.group_keys(session).values())
    assert {path.stat().st_mode & 0o777 for path in paths} == {0o644}
    assert [path.read_bytes() for path in release(database, settings, trained, tmp_path)] == [
        weights,
        description,
        split,
    ]


def test_only_what_was_trained_on_these_pictures_is_released(
    database: Database, settings: Settings, trained: str, tmp_path: Path
) -> None:
    with database.write() as session:
        elsewhere = encoders.get(session, trained).training
        encoders.add(
            session, id="elsewhere", architecture="cnn-autoencoder", weights_file="", weights_sha256="0",
            dimension=48, preprocessing={}, training=elsewhere, metrics={},
        )  # fmt: skip
    with pytest.raises(BadRequest, match="elsewhere was not trained on the pictures"):
        release(database, settings, "elsewhere", tmp_path)
    with database.write() as session:
        instances.add(
            session, header=None, file_name="late.png", origin="", sha256="a" * 64, group_key="late",
            frames=[NewFrame(1, "b" * 64, 8, 8, "image/1")], labels={},
        )  # fmt: skip
    with pytest.raises(BadRequest, match=f"{trained} was not trained on the pictures"):
        release(database, settings, trained, tmp_path)
    assert list(tmp_path.glob("default.*")) == []


def test_weights_that_are_gone_are_named(
    database: Database, settings: Settings, trained: str, tmp_path: Path
) -> None:
    (settings.weights / f"{trained}.safetensors").unlink()
    with pytest.raises(NotFound, match=trained):
        release(database, settings, trained, tmp_path)
