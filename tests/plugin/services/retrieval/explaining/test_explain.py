"""Why a hit: heat maps of a trained encoder pass the deletion test, and go with the images that they show."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from cbmir.cli.main import cli
from cbmir.encoders.occlusion import CELLS
from cbmir.errors import NotFound
from cbmir.progress import Silence
from cbmir.services.encoders import shipped
from cbmir.services.features.extract import extract
from cbmir.services.retrieval.explaining.drawing import overlay, strongest
from cbmir.services.retrieval.explaining.explain import explain_answer, explain_question
from cbmir.services.retrieval.retrieve import Question, retrieve
from cbmir.services.training.train import TrainingRequest, train
from cbmir.settings import Settings
from cbmir.store import encoders, jobs, queries
from cbmir.store.session import Database
from cbmir.types import JobKind


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `trained` keeps what it has made: each test gets a copy."""
    return tmp_path_factory.mktemp("trained")


@pytest.fixture
def trained(once: Path, database: Database, settings: Settings, stock: Callable[..., None]) -> str:
    """An encoder that has learned to draw discs and bars."""
    if not (once / "data").is_dir():
        stock(database, patients=24)
        encoder = train(database, settings, TrainingRequest(epochs=8, side=32, batch_size=8), Silence())
        extract(database, settings, encoder, Silence())
        database.dispose()
        shutil.copytree(settings.data, once / "data")
    shutil.copytree(once / "data", settings.data, dirs_exist_ok=True)
    with database.read() as session:
        return encoders.resolve(session, None).id


def answered(database: Database, settings: Settings) -> tuple[str, list[int]]:
    """A kept answer, as a worker keeps it: its job and the frames of its hits."""
    answer = retrieve(database, settings, Question(frame_id=1, k=3)).as_json()
    with database.write() as session:
        job = jobs.create(session, JobKind.RETRIEVE, {})
        jobs.claim(session, job.id)
        jobs.succeed(session, job.id, answer)
        queries.save(
            session,
            job_id=job.id,
            encoder_id=answer["encoder"],
            picture=answer["query"]["picture"],
            frame_id=1,
            k=3,
            where={},
            hits=answer["hits"],
        )
    return job.id, [hit["frame_id"] for hit in answer["hits"]]


@pytest.mark.usefixtures("trained")
def test_the_map_of_a_trained_encoder_passes_the_deletion_test(database: Database, settings: Settings) -> None:
    for query, hit in ((1, 2), (3, 4), (9, 10)):
        maps = explain_question(database, settings, Question(frame_id=query), hit).maps
        for half in (maps.query, maps.hit):
            assert half.deleted.by_map > half.deleted.by_chance, "it counts for more than other parts do"
            assert half.deleted.by_map > half.deleted.by_map_reversed


def test_the_map_of_the_encoder_that_comes_with_cbmir_passes_it(
    database: Database, settings: Settings, stock: Callable[..., None]
) -> None:
    stock(database, patients=4)
    shipped.add(database)
    maps = explain_question(database, settings, Question(frame_id=1), 3).maps
    assert maps.query.deleted.holds
    assert maps.hit.deleted.holds


def test_a_kept_answer_is_explained(database: Database, settings: Settings, trained: str) -> None:
    query, hits = answered(database, settings)
    found = explain_answer(database, settings, query, hits[0])
    assert found["encoder"] == trained
    assert found["hit"]["frame_id"] == hits[0]
    for half in ("query", "hit"):
        assert np.array(found[half]["map"]).shape == (CELLS, CELLS)
        assert found[half]["deletion"].keys() == {"by_map", "by_chance", "by_map_reversed", "holds", "said"}
        drawn = Image.open(BytesIO(base64.b64decode(found[half]["reconstruction"])))
        assert (drawn.size, drawn.mode) == ((32, 32), "L")
    with database.read() as session:
        listed = next(hit for hit in queries.get(session, query).hits if hit["frame_id"] == hits[0])
    assert found["distance"] == pytest.approx(listed["distance"], rel=1e-3)
    with pytest.raises(NotFound, match="no image"):
        explain_answer(database, settings, query, next(n for n in range(1, 48) if n not in hits))
    with pytest.raises(NotFound):
        explain_answer(database, settings, "no-such-job", hits[0])


def test_the_command_writes_a_sheet(database: Database, settings: Settings, trained: str, tmp_path: Path) -> None:
    assert database
    assert trained
    file, out = tmp_path / "query.png", tmp_path / "why" / "out.png"
    Image.fromarray(np.full((40, 32), 90, np.uint8)).save(file)
    said = CliRunner().invoke(cli, ["--data", str(settings.data), "explain", str(file), "5", "-o", str(out)])
    assert said.exit_code == 0, said.output
    assert "distance" in said.output
    assert said.output.count("Put to the test, this map") == 2
    with Image.open(out) as sheet:
        width, height = sheet.size
    assert width > height > 700, "two rows of three panels"


@pytest.mark.usefixtures("trained")
@pytest.mark.parametrize("hit", ["99999", "1.2.3.99999"])
def test_an_image_that_is_not_there_is_refused_with_where_to_look(
    database: Database, settings: Settings, hit: str
) -> None:
    asked = int(hit) if hit.isdigit() else hit
    with pytest.raises(NotFound, match="99999") as refused:
        explain_question(database, settings, Question(frame_id=1), asked)
    assert "a search gives" in refused.value.remedy


@pytest.mark.usefixtures("database")
def test_what_is_written_is_named_so(settings: Settings, tmp_path: Path) -> None:
    out = tmp_path / "why.txt"
    said = CliRunner().invoke(cli, ["--data", str(settings.data), "explain", "1.2.3", "5", "-o", str(out)])
    assert (said.exit_code, "why.png" in said.output) == (2, True)
    assert not out.exists()


def test_an_overlay_is_orange_where_alike_and_blue_where_apart() -> None:
    ground, drive = np.full((64, 48), 100, np.uint8), np.zeros((CELLS, CELLS), np.float32)
    drive[2, 2], drive[13, 13] = 1, -2
    scale = strongest(drive, drive / 2)
    assert scale == 2
    drawn = np.asarray(overlay(ground, drive, scale), np.int64)
    assert drawn.shape == (64, 48, 3)
    alike, apart, nothing = drawn[10, 7], drawn[54, 40], drawn[10, 40]
    assert alike[0] > alike[2]
    assert apart[2] > apart[0]
    assert nothing.tolist() == [100, 100, 100]
    assert strongest(np.zeros((2, 2), np.float32)) == 1
