"""A disk that is really full: nothing is lost, the words are clear, and it goes on when there is room.

The data folder is a file system of its own, a few megabytes large; to mount one takes root.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from sqlalchemy import func, select

from cbmir.archive.dimse.receiver import Receiver
from cbmir.archive.dimse.reception import Reception
from cbmir.encoders.cnn_autoencoder import CnnAutoencoder
from cbmir.errors import DiskFull, Unavailable
from cbmir.pictures.shelf import Shelf
from cbmir.progress import Silence
from cbmir.services.archives.follow import Follower
from cbmir.services.archives.registered import Followed
from cbmir.services.archives.sync import synchronise
from cbmir.services.archives.verify import verify
from cbmir.services.conversion.isolation import Isolation
from cbmir.services.features.extract import extract
from cbmir.services.ingestion.ingest import ingest
from cbmir.settings import Settings
from cbmir.store.session import Database
from cbmir.store.tables import Feature, Frame, Instance, Quarantined
from cbmir.training import checkpoint

MEGABYTE = 1024 * 1024
SIDE = 384
"""Of pictures of noise, which take as many bytes as they have pixels."""


class Disk:
    """A small file system, and what fills it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._ballast = folder, folder / "ballast"

    def fill(self, but: int = 0) -> None:
        """Leave only so many bytes."""
        room = shutil.disk_usage(self.folder).free - but
        with self._ballast.open("wb") as ballast:
            ballast.write(bytes(room))

    def make_room(self) -> None:
        """Take away what filled it."""
        self._ballast.unlink()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A mounted file system of 24 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)]
    if os.getuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a file system can be mounted by root alone")
    yield Disk(folder)
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def settings(disk: Disk) -> Settings:
    return Settings(data=disk.folder / "data")


def count(database: Database, table: type[Any]) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def lost_pictures(database: Database, settings: Settings) -> int:
    """Frames whose picture is not there, or is not whole."""
    shelf = Shelf(settings.pictures)
    with database.read() as session:
        return sum(not shelf.has(key) for key in session.scalars(select(Frame.picture)))


def drafts(folder: Path) -> list[Path]:
    return list(folder.rglob("*.draft"))


def test_an_ingestion_stops_and_goes_on(
    disk: Disk, database: Database, settings: Settings, tmp_path: Path, make_png: Callable[..., bytes]
) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for seed in range(10):
        (inbox / f"{seed}.png").write_bytes(make_png(seed, SIDE))
    disk.fill(but=MEGABYTE)
    with pytest.raises(Unavailable, match=r"[Ff]ull") as caught:
        ingest(database, settings, [inbox], None, Silence())
    assert caught.value.remedy
    assert count(database, Quarantined) == 0
    assert (lost_pictures(database, settings), drafts(settings.data)) == (0, [])
    disk.make_room()
    again = ingest(database, settings, [inbox], None, Silence())
    assert again.ingested + again.duplicates == 10
    assert count(database, Instance) == 10
    assert lost_pictures(database, settings) == 0


def test_a_sync_stops_and_goes_on(
    disk: Disk, database: Database, archive: Followed, pacs: Any, make_object: Any, settings: Settings
) -> None:
    from numpy.random import default_rng

    for seed in range(8):
        noise = default_rng(seed).integers(0, 4096, (SIDE, SIDE)).astype("<u2").tobytes()
        pacs.send(make_object(seed, Rows=SIDE, Columns=SIDE, PixelData=noise))
    Follower(archive).look()
    disk.fill(but=MEGABYTE)
    with Isolation(1) as isolation:
        with pytest.raises(Unavailable, match=r"full|Free space"):
            synchronise(archive, Silence(), isolation)
        assert (lost_pictures(database, settings), count(database, Quarantined)) == (0, 0)
        disk.make_room()
        synchronise(archive, Silence(), isolation)
    assert count(database, Instance) == 8
    assert verify(archive, Silence()).differences == []
    assert not [*settings.spool.glob("fetched-*")]


def test_an_extraction_stops_and_goes_on(
    disk: Disk,
    database: Database,
    settings: Settings,
    tmp_path: Path,
    make_png: Callable[..., bytes],
    add_network: Callable[..., str],
) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for seed in range(6):
        (inbox / f"{seed}.png").write_bytes(make_png(seed))
    ingest(database, settings, [inbox], None, Silence())
    encoder = add_network(database)
    database.dispose()  # its log is written again from the beginning, for which there is no room
    disk.fill()
    with pytest.raises(Unavailable):
        extract(database, settings, encoder, Silence())
    disk.make_room()
    assert extract(database, settings, encoder, Silence())["extracted"] == 6
    assert count(database, Feature) == 6


def test_a_checkpoint_that_does_not_fit_leaves_the_last_one(disk: Disk) -> None:
    network = CnnAutoencoder(16)
    network.initialise(0)
    optimiser = torch.optim.Adam(network.parameters())
    network(torch.zeros(1, 1, 16, 16)).sum().backward()
    optimiser.step()
    folder = disk.folder / "run"
    first = checkpoint.Record(history=[{"epoch": 1, "train_loss": 1.0, "validation_loss": 1.0}], step=1)
    checkpoint.save(folder, network, optimiser, first)
    disk.fill(but=MEGABYTE // 2)
    second = checkpoint.Record(history=[*first.history, first.history[0]], step=2)
    with pytest.raises(DiskFull, match="checkpoint"):
        checkpoint.save(folder, network, optimiser, second)
    assert checkpoint.restore(folder, network, optimiser).step == 1
    disk.make_room()
    checkpoint.save(folder, network, optimiser, second)
    assert checkpoint.restore(folder, network, optimiser).step == 2
    assert drafts(folder) == []


@pytest.mark.skipif(shutil.which("storescu") is None, reason="needs dcmtk: run `make services`")
def test_a_receiver_refuses_what_does_not_fit_and_takes_it_later(
    disk: Disk, tmp_path: Path, make_object: Any, uid_of: Any
) -> None:
    files = []
    for seed in range(3):
        files.append(tmp_path / f"{seed}.dcm")
        files[-1].write_bytes(make_object(seed, Rows=SIDE, Columns=SIDE, PixelData=bytes(2 * SIDE * SIDE)))
    with Receiver(Reception(disk.folder / "received", port=0, keep_free=0)) as receiver:

        def send(file: Path) -> int:
            command = ["storescu", "-aec", "CBMIR", "127.0.0.1", str(receiver.port), str(file)]
            return subprocess.run(command, capture_output=True, check=False, timeout=60).returncode

        landed = disk.folder / "received"
        assert send(files[0]) == 0
        disk.fill(but=100_000)
        assert send(files[1]) != 0
        assert {each.name for each in landed.iterdir()} == {f"{uid_of(0)}.dcm"}
        disk.make_room()
        assert send(files[1]) == send(files[2]) == 0
        assert {each.name for each in landed.iterdir()} == {f"{uid_of(seed)}.dcm" for seed in range(3)}
