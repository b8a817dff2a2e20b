"""Pictures that a killed process put and never recorded go after a day; those that anything shows stay."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from cbmir.pictures.shelf import Shelf
from cbmir.services.ingestion.strays import MOST_STRAYS, STRAY_SECONDS, discard_strays
from cbmir.settings import Settings
from cbmir.store import encoders, jobs, queries
from cbmir.store.session import Database
from cbmir.store.tables import Frame, Group, Instance
from cbmir.types import JobKind

KILLED = """
import os, sys, numpy
from pathlib import Path
from cbmir.pictures.shelf import Shelf
with Shelf(Path(sys.argv[1])).together() as put:
    put(numpy.full((9, 9), 200, numpy.uint8))
    os.kill(os.getpid(), 9)
"""


@pytest.fixture
def shelf(settings: Settings) -> Shelf:
    return Shelf(settings.pictures)


def picture(shelf: Shelf, value: int) -> str:
    return shelf.put(np.full((9, 9), value, np.uint8))


def age(settings: Settings) -> None:
    """Let everything on the shelf have been put two days ago."""
    for path in settings.pictures.rglob("*"):
        os.utime(path, (time.time() - 2 * STRAY_SECONDS,) * 2)


def record(database: Database, shown: list[str], asked: str) -> None:
    """Frames that show these pictures, and a query about one that was handed in."""
    with database.write() as session:
        frames = [
            Frame(frame_number=number, picture=key, rows=9, columns=9, pipeline="test")
            for number, key in enumerate(shown, 1)
        ]
        session.add(Instance(group=Group(key="p"), file_name="a", sha256="0" * 64, frames=frames))
        encoder = encoders.add(
            session, id="net", architecture="none", weights_file="", weights_sha256="0" * 64, dimension=4,
            preprocessing={}, training={}, metrics={},
        ).id  # fmt: skip
        job = jobs.create(session, JobKind.RETRIEVE, {})
        queries.save(
            session, job_id=job.id, encoder_id=encoder, picture=asked, frame_id=None, k=1, where={}, hits=[]
        )


def files(settings: Settings) -> set[str]:
    return {path.stem for path in settings.pictures.rglob("*") if path.is_file()}


def test_what_nothing_shows_goes_after_a_day(database: Database, settings: Settings, shelf: Shelf) -> None:
    shown, asked = [picture(shelf, value) for value in range(MOST_STRAYS)], picture(shelf, 100)
    record(database, shown, asked)
    stray = picture(shelf, 150)
    assert discard_strays(database, settings) == 0
    age(settings)
    young = picture(shelf, 151)
    assert discard_strays(database, settings) == 1
    assert files(settings) == {*shown, asked, young}
    assert stray not in files(settings)


def test_one_that_is_put_again_is_young_again(database: Database, settings: Settings, shelf: Shelf) -> None:
    record(database, [picture(shelf, value) for value in range(MOST_STRAYS)], "")
    again = picture(shelf, 150)
    age(settings)
    assert picture(shelf, 150) == again
    assert discard_strays(database, settings) == 0
    assert again in files(settings)


def test_a_draft_of_a_killed_process_goes(database: Database, settings: Settings) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, str(settings.pictures)], check=False)
    assert killed.returncode == -9
    assert len(files(settings)) == 1
    discard_strays(database, settings)
    assert len(files(settings)) == 1, "it may still be written"
    age(settings)
    discard_strays(database, settings)
    assert files(settings) == set()


def test_the_pictures_of_another_database_are_left(
    database: Database, settings: Settings, shelf: Shelf, caplog: pytest.LogCaptureFixture
) -> None:
    kept = {picture(shelf, value) for value in range(4)}
    age(settings)
    assert discard_strays(database, settings) == 0
    assert files(settings) == kept
    assert "4 of 4 pictures" in caplog.text


def test_an_installation_without_pictures(database: Database, settings: Settings) -> None:
    assert discard_strays(database, settings) == 0
    assert not Path(settings.pictures).exists()
