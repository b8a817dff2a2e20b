"""Features of an earlier conversion are counted where they are compared, and the command line says so."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import update

from cbmir.cli.context import Context
from cbmir.cli.encoders.encoders import encoders_command
from cbmir.cli.encoders.extraction import extract_command
from cbmir.cli.retrieval import query_command
from cbmir.progress import Silence
from cbmir.services.conversion import outdated
from cbmir.services.conversion.convert import pipelines
from cbmir.services.features.extract import extract
from cbmir.services.ingestion.ingest import ingest
from cbmir.services.retrieval.retrieve import Question, retrieve
from cbmir.settings import Settings
from cbmir.store import encoders, features, instances
from cbmir.store.filters import Where
from cbmir.store.session import Database
from cbmir.store.tables import Feature

OBJECTS, OLD = 5, ("1.2.0", "1.2.1")


@pytest.fixture
def aged(
    database: Database,
    settings: Settings,
    tmp_path: Path,
    make_dicom: Callable[..., bytes],
    add_network: Callable[..., str],
) -> str:
    """Five objects, the features of two of which are of pictures of an earlier conversion; the encoder's id."""
    folder = tmp_path / "inbox"
    folder.mkdir()
    for number in range(OBJECTS):
        modality = "MR" if number else "CT"
        (folder / str(number)).write_bytes(make_dicom(number, SOPInstanceUID=f"1.2.{number}", Modality=modality))
    ingest(database, settings, [folder], None, Silence())
    encoder_id = add_network(database)
    assert extract(database, settings, encoder_id, Silence())["outdated"] == 0
    assert retrieve(database, settings, Question(sop_instance_uid="1.2.0")).outdated == 0
    with database.write() as session:
        old = [frame.id for uid in OLD for frame in instances.frames_of(session, uid)]
        session.execute(update(Feature).where(Feature.frame_id.in_(old)).values(pipeline="dicom-2d/0"))
        features.forget_history(session, encoder_id)
    return encoder_id


@pytest.mark.usefixtures("aged")
@pytest.mark.parametrize(
    ("uid", "where", "compared"),
    [("1.2.4", [], 2), ("1.2.0", [], 1), ("1.2.4", ["modality=CT"], 1), ("1.2.0", ["modality=MR"], 1)],
)
def test_only_what_is_compared_counts(
    database: Database, settings: Settings, uid: str, where: list[str], compared: int
) -> None:
    answer = retrieve(database, settings, Question(sop_instance_uid=uid, where=Where.parse(where)))
    assert (answer.outdated, answer.as_json()["outdated"]) == (compared, compared)


def test_the_commands_say_so(settings: Settings, aged: str) -> None:
    context = Context(settings)
    query = CliRunner().invoke(query_command, ["1.2.4", "--json"], obj=context, catch_exceptions=False)
    assert json.loads(query.stdout)["outdated"] == 2
    assert "2 of the features compared are of pictures that are made otherwise today" in query.stderr
    extraction = CliRunner().invoke(extract_command, [], obj=context, catch_exceptions=False)
    listed = CliRunner().invoke(encoders_command, [], obj=context, catch_exceptions=False)
    assert "5 features (2 outdated)" in listed.stdout
    told = CliRunner().invoke(encoders_command, ["--json"], obj=context, catch_exceptions=False)
    assert [(row["encoder"], row["outdated"]) for row in json.loads(told.stdout)] == [(aged, 2)]
    for each in (query, extraction, listed):
        assert "Run `cbmir reconvert`, then `cbmir extract`." in each.stderr
    context.database.dispose()


def test_conversions_of_others_are_never_outdated(database: Database, settings: Settings, aged: str) -> None:
    today = pipelines(settings)["dicom-2d"]
    assert outdated.among(["dicom-2d/0", today, "elsewhere/1", "import"], settings) == ["dicom-2d/0"]
    with database.read() as session:
        assert outdated.count(session, aged, settings) == 2
        assert outdated.count(session, "another", settings) == 0
        assert encoders.get(session, aged).generation > 0
