"""Encoders in the web: their state, switching, going back, freeing; what an answer says of its worth, and why."""

from __future__ import annotations

import base64
from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from PIL import Image
from sqlalchemy import delete

from cbmir.evaluation.deletion import Deleted
from cbmir.store import encoders, features, jobs, queries
from cbmir.store.session import Database
from cbmir.store.tables import Feature
from cbmir.types import JobKind

OTHER = "cnn-autoencoder-11111111"


def add_other(database: Database, archive: Any, count: int) -> None:
    """Another encoder, with features of the first so many frames."""
    with database.write() as session:
        row = encoders.add(
            session, id=OTHER, architecture="cnn-autoencoder", weights_file="", weights_sha256="1" * 64,
            dimension=48, preprocessing={"side": 64}, training={}, metrics={},
        )  # fmt: skip
        if count:
            features.add_batch(session, row, archive.frames[:count], np.ones((count, 48), np.float32))


def states(client: FlaskClient) -> dict[str, str]:
    return {each["id"]: each["state"] for each in client.get("/api/v1/encoders").json["encoders"]}


def test_the_api_switches_goes_back_and_frees(client: FlaskClient, database: Database, archive: Any) -> None:
    add_other(database, archive, 5)
    assert states(client) == {archive.encoder: "in use", OTHER: "ready"}
    switched = client.post(f"/api/v1/encoders/{OTHER}/activate")
    assert (switched.status_code, switched.json) == (
        200,
        {"encoder": OTHER, "before": archive.encoder, "lacking": 0},
    )
    assert states(client) == {OTHER: "in use", archive.encoder: "ready"}
    assert client.post("/api/v1/encoders/back", json={}).json["encoder"] == archive.encoder
    refused = client.post(f"/api/v1/encoders/{archive.encoder}/free")
    assert (refused.status_code, refused.json["error"]["code"]) == (409, "encoder-not-ready")
    freed = client.post(f"/api/v1/encoders/{OTHER}/free")
    assert (freed.status_code, freed.json["kind"]) == (202, "free")
    assert client.post("/api/v1/encoders/nobody/activate").status_code == 404


def test_the_page_tells_an_adapted_encoder(client: FlaskClient, database: Database, archive: Any) -> None:
    add_other(database, archive, 5)
    assert "Adapted" not in client.get("/encoders").text
    with database.write() as session:
        encoders.get(session, OTHER).training = {"adapted": {"from": archive.encoder, "pictures": 1234}}
    page = client.get("/encoders").text
    assert "<dt>Adapted</dt><dd>to 1,234 pictures of this archive" in page


def test_an_incomplete_encoder_is_switched_to_on_request_only(
    client: FlaskClient, database: Database, archive: Any
) -> None:
    add_other(database, archive, 2)
    assert states(client)[OTHER] == "preparing"
    refused = client.post(f"/api/v1/encoders/{OTHER}/activate", json={})
    assert refused.status_code == 409
    assert "3 images" in refused.json["error"]["reason"]
    switched = client.post(f"/api/v1/encoders/{OTHER}/activate", json={"incomplete": True})
    assert (switched.status_code, switched.json["lacking"]) == (200, 3)


def test_the_page_shows_states_and_has_one_button_for_each_step(
    client: FlaskClient, database: Database, archive: Any, token: Callable[[str], str]
) -> None:
    add_other(database, archive, 5)
    page = client.get("/encoders").text
    assert page.index(archive.encoder) < page.index(OTHER)
    assert "Switch to this encoder" in page
    assert "5 features of it, 960 bytes, are deleted" in page
    form = {"csrf_token": token("/encoders")}
    assert client.post(f"/encoders/{OTHER}/activate", data=form).status_code == 303
    assert "Go back to this encoder" in client.get("/encoders").text
    assert client.post("/encoders/back", data=form).status_code == 303
    assert states(client)[archive.encoder] == "in use"
    assert client.post(f"/encoders/{OTHER}/free", data=form).status_code == 303
    refused = client.post(f"/encoders/{archive.encoder}/free", data=form)
    assert refused.status_code == 409
    assert "its features are in use" in refused.text


def answered(database: Database, archive: Any, **more: Any) -> str:
    """An answer with one hit, the archive's second frame, about its first."""
    hit = {
        "rank": 1,
        "distance": 0.5,
        "frame_id": archive.frames[1],
        "file_name": "b.dcm",
        **dict.fromkeys(("sop_instance_uid", "series_instance_uid", "study_instance_uid"), "1.2.3.1"),
        "frame_number": 1,
        "labels": {},
    }
    result = {"query": {}, "encoder": archive.encoder, "hits": [hit], **more}
    with database.write() as session:
        picture = encoders_picture(session, archive)
        job = jobs.create(session, JobKind.RETRIEVE, {"frame_id": archive.frames[0]})
        jobs.claim(session, job.id)
        jobs.succeed(session, job.id, result)
        queries.save(
            session, job_id=job.id, encoder_id=archive.encoder, picture=picture, frame_id=archive.frames[0], k=1,
            where={}, hits=[hit],
        )  # fmt: skip
    return job.id


def encoders_picture(session: Any, archive: Any) -> str:
    from cbmir.store.tables import Frame

    return str(session.get(Frame, archive.frames[0]).picture)


def test_an_answer_begins_with_nothing_similar(client: FlaskClient, database: Database, archive: Any) -> None:
    doubtful = answered(database, archive, confidence=0.012, nothing_similar=True)
    page = client.get(f"/queries/{doubtful}").text
    assert page.index("Nothing similar in this archive") < page.index('class="hits"')
    assert "(1 in 100 are as far)" in page
    sure = answered(database, archive, confidence=0.6, nothing_similar=False)
    page = client.get(f"/queries/{sure}").text
    assert "Nothing similar" not in page
    assert "0.600" in page
    assert "60 in 100 are at least as far" in page
    assert "A low one says that the archive may hold nothing like your image." in page
    assert "Nothing similar" not in client.get(f"/queries/{answered(database, archive)}").text, "not calibrated"


def test_a_hit_is_explained_once(
    client: FlaskClient, database: Database, archive: Any, token: Callable[[str], str]
) -> None:
    query = answered(database, archive)
    form = {"csrf_token": token("/"), "frame_id": str(archive.frames[1])}
    asked = client.post(f"/queries/{query}/why", data=form)
    assert asked.status_code == 303
    assert "Waiting for a worker" in client.get(asked.location).text
    assert client.post(f"/queries/{query}/why", data=form).location == asked.location
    again = client.post("/api/v1/explain", json={"query": query, "frame_id": archive.frames[1]})
    assert (again.status_code, again.json["id"]) == (202, asked.location.rsplit("/", 1)[1])
    assert client.post("/api/v1/explain", json={"query": query, "frame_id": archive.frames[2]}).status_code == 404


def test_an_explanation_shows_both_maps_and_what_is_kept(
    client: FlaskClient, database: Database, archive: Any
) -> None:
    query = answered(database, archive)
    buffer = BytesIO()
    Image.new("L", (16, 16), 120).save(buffer, "PNG")
    drive = np.zeros((16, 16))
    drive[3, 4] = 0.25
    tested = Deleted(by_map=1.2, by_chance=0.5, by_map_reversed=0.1).as_json()
    half = {
        "map": drive.tolist(),
        "deletion": tested,
        "reconstruction": base64.b64encode(buffer.getvalue()).decode(),
    }
    result = {"encoder": archive.encoder, "distance": 0.5, "query": half, "hit": {**half, "reconstruction": None}}
    with database.write() as session:
        job = jobs.create(session, JobKind.EXPLAIN, {"query": query, "frame_id": archive.frames[1]})
        jobs.claim(session, job.id)
        jobs.succeed(session, job.id, result)
    page = client.get(f"/explanations/{job.id}").text
    assert "this map holds: with what is orange covered first the two are 2.2 times as far apart" in page
    assert "with as much covered elsewhere 1.5 times" in page
    assert "it is no diagnosis" in page
    for path, size in (("query.png", (30, 40)), ("hit.png", (30, 40)), ("query/reconstruction.png", (16, 16))):
        shown = client.get(f"/explanations/{job.id}/{path}")
        assert (shown.status_code, shown.mimetype) == (200, "image/png")
        assert Image.open(BytesIO(shown.data)).size == size
    for path in ("hit/reconstruction.png", "other.png"):
        assert client.get(f"/explanations/{job.id}/{path}").status_code == 404
    assert client.get(f"/explanations/{query}").status_code == 404


@pytest.mark.usefixtures("archive")
def test_where_an_encoder_is_there_none_is_to_be_trained_first(client: FlaskClient, database: Database) -> None:
    with database.write() as session:
        session.execute(delete(Feature))
    page = client.get("/").text
    assert "1 encoder is there: nothing needs to be trained." in page
    assert "Train an encoder" not in page
