"""Libraries hardly fit to train on, and a disk that fills up: each has its outcome, and nothing is lost."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from cbmir.encoders import weights
from cbmir.encoders.cnn_autoencoder import CnnAutoencoder
from cbmir.errors import DiskFull, TrainingFailed
from cbmir.pictures.shelf import Shelf
from cbmir.progress import Silence
from cbmir.services.training.train import TrainingRequest, train
from cbmir.settings import Settings
from cbmir.store import encoders, frames, instances
from cbmir.store.session import Database
from cbmir.training import checkpoint
from cbmir.training.gradients import workers
from cbmir.training.loop import Material, Recipe, Training
from cbmir.types import LabelOrigin, NewFrame, Part

Hold = Callable[[Sequence[tuple[str, str]]], None]

REQUEST = TrainingRequest(epochs=1, side=16, batch_size=4)


@pytest.fixture
def hold(database: Database, settings: Settings) -> Hold:
    """Fills the library: a picture for each patient and sub-class."""

    def put(held: Sequence[tuple[str, str]]) -> None:
        shelf, random = Shelf(settings.pictures), np.random.default_rng(0)
        with database.write() as session:
            for number, (patient, subclass) in enumerate(held):
                picture = shelf.put(random.integers(0, 255, (16, 16), dtype=np.uint8))
                instances.add(
                    session,
                    header=None,
                    file_name=f"{number}.png",
                    origin="",
                    sha256=hashlib.sha256(str(number).encode()).hexdigest(),
                    group_key=patient,
                    frames=[NewFrame(1, picture, 16, 16, "image/1")],
                    labels={"subclass": (subclass, LabelOrigin.MANIFEST)},
                )

    return put


def stored(database: Database) -> list[str]:
    with database.read() as session:
        return [row.id for row in encoders.listing(session)]


def test_one_class_is_enough_to_learn_to_reconstruct(database: Database, settings: Settings, hold: Hold) -> None:
    hold([(f"p{number}", "hand") for number in range(6)])
    encoder_id = train(database, settings, REQUEST, Silence())
    with database.read() as session:
        assert set(encoders.parts(session, encoder_id).values()) == set(Part)


def test_one_class_is_nothing_to_tell_apart(database: Database, settings: Settings, hold: Hold) -> None:
    hold([(f"p{number}", "hand") for number in range(6)])
    with pytest.raises(TrainingFailed, match="same label"):
        train(database, settings, TrainingRequest("dcnn", epochs=1, side=16), Silence())
    assert stored(database) == []


def test_a_network_that_names_labels_is_trained_and_loaded(
    database: Database, settings: Settings, hold: Hold
) -> None:
    from cbmir.services.features.loading import load_encoder

    hold([(f"p{number}", ("hand", "head")[number % 2]) for number in range(8)])
    encoder_id = train(database, settings, TrainingRequest("dcnn", epochs=1, side=16), Silence())
    with database.read() as session:
        row = encoders.get(session, encoder_id)
    assert encoder_id.startswith("dcnn-")
    assert row.training["loss"] == "cross-entropy of the label"
    assert load_encoder(row, settings).encode(np.zeros((1, 1, 16, 16), np.float32)).shape == (1, 48)


def test_the_image_that_is_alone_in_its_class_is_trained_on(
    database: Database, settings: Settings, hold: Hold
) -> None:
    hold([*((f"p{number}", "hand") for number in range(6)), ("lonely", "foot")])
    encoder_id = train(database, settings, REQUEST, Silence())
    with database.read() as session:
        keys, parts = frames.group_keys(session), encoders.parts(session, encoder_id)
    assert {keys[group]: part for group, part in parts.items()}["lonely"] == Part.TRAIN


def test_images_of_one_patient_cannot_be_split(database: Database, settings: Settings, hold: Hold) -> None:
    hold([("p", f"class-{number}") for number in range(9)])
    with pytest.raises(TrainingFailed, match="1 patient;") as raised:
        train(database, settings, REQUEST, Silence())
    assert "group" in raised.value.remedy
    assert stored(database) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own that holds one checkpoint, and not two."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "none", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("needs root, and the right to mount")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


DISK = 20 << 20
"""Bytes; a checkpoint of the network at 16 x 16 takes 11 to 14 MiB, and is written beside the last one."""


def test_a_full_disk_keeps_the_last_checkpoint_and_room_lets_it_go_on(small_disk: Path, tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 255, (6, 1, 16, 16), dtype=np.uint8)
    material, recipe = Material(values, np.arange(4), np.arange(4, 6)), Recipe(epochs=3, batch_size=4)

    def training(folder: Path) -> Training:
        network = CnnAutoencoder(16)
        network.initialise(0)
        return Training(network, material, recipe, folder, pool)

    with workers(1) as pool:
        whole = training(tmp_path / "whole").run(Silence())
        with pytest.raises(DiskFull, match=r"checkpoint\.safetensors"):
            training(small_disk).run(Silence())
        assert [path.name for path in small_disk.iterdir()] == [checkpoint.FILE]
        subprocess.run(["mount", "-o", f"remount,size={4 * DISK}", str(small_disk)], check=True)
        resumed = training(small_disk).run(Silence())
    assert weights.to_bytes(resumed.best) == weights.to_bytes(whole.best)
    assert [row["epoch"] for row in resumed.history] == [1, 2, 3]
