"""The REST API: every address of it, right and wrong."""

from __future__ import annotations

import io
import re
import time
from threading import Thread
from typing import Any

import pytest
from flask.testing import FlaskClient
from openapi_spec_validator import OpenAPIV30SpecValidator
from PIL import Image

from cbmir.settings import Settings
from cbmir.store import jobs, quarantine
from cbmir.store.filters import Where
from cbmir.store.session import Database
from cbmir.types import JobKind, JobState

API = "/api/v1"


def only_job(database: Database) -> Any:
    """The one job that there is."""
    with database.read() as session:
        (job,) = jobs.listing(session)
    return job


def test_the_description_is_valid_openapi_and_names_every_address(client: FlaskClient) -> None:
    spec = client.get("/api/openapi.json").json
    OpenAPIV30SpecValidator(spec).validate()
    described = {path.removeprefix(API) for path in spec["paths"]}
    assert described == {
        "/ingest", "/query", "/jobs", "/jobs/{job_id}", "/jobs/{job_id}/cancel", "/jobs/{job_id}/retry", "/train",
        "/extract", "/evaluate", "/export", "/encoders", "/images", "/images/{instance_id}", "/quarantine",
        "/quarantine/retry", "/quarantine.csv", "/quarantine.json",
        "/frames/{frame_id}/picture.png", "/frames/{frame_id}/thumbnail.png", "/archives", "/archives/{name}",
        "/archives/{name}/test", "/archives/{name}/sync", "/archives/{name}/pause", "/archives/{name}/resume",
        "/archives/{name}/events", "/archives/{name}/report", "/archives/{name}/verify", "/explain",
        "/encoders/back",
        "/encoders/{encoder_id}/activate", "/encoders/{encoder_id}/free",
    }  # fmt: skip
    body = spec["paths"][f"{API}/query"]["post"]["requestBody"]["content"]
    assert set(body) == {"multipart/form-data", "application/json"}
    assert spec["components"]["schemas"]["Error"]["properties"]["error"]


def test_the_description_can_be_browsed_without_help_from_outside(client: FlaskClient) -> None:
    page = client.get("/api/docs/")
    assert page.status_code == 200
    assert "http" not in page.text.replace("http-equiv", "")
    assert re.search(r'<nav [^>]*><a href="/">← cbmir</a></nav>\s*<main>', page.text), "all is in a landmark"
    for name in ("swagger-ui.css", "swagger-ui-bundle.js"):
        with client.get(f"/api/docs/{name}") as file:
            assert file.status_code == 200
    assert client.get("/api/docs/flask_swagger_ui.py").status_code == 404
    assert client.get("/api/docs/..%2f__init__.py").status_code == 404


def test_files_are_ingested(client: FlaskClient, database: Database, settings: Settings) -> None:
    files = [(io.BytesIO(b"one"), "one.dcm"), (io.BytesIO(b"two"), "folder/two.png")]
    response = client.post(f"{API}/ingest", data={"files": files})
    assert response.status_code == 202
    job = only_job(database)
    assert response.json["id"] == job.id
    assert response.headers["Location"] == f"{API}/jobs/{job.id}"
    assert job.parameters["files"] == {"0": "one.dcm", "1": "two.png"}
    assert (settings.uploads / job.parameters["upload"] / "1").read_bytes() == b"two"


def test_a_body_that_is_no_json_is_refused(client: FlaskClient) -> None:
    response = client.post(f"{API}/query", data="{frame_id", content_type="application/json")
    assert (response.status_code, response.json["error"]["reason"]) == (400, "The body is not valid JSON.")


def test_a_misspelt_filter_does_not_let_everything_through(client: FlaskClient) -> None:
    response = client.get(f"{API}/images?wehre=modality=MR")
    assert (response.status_code, response.json["error"]["reason"]) == (422, "wehre: Unknown field.")


def test_an_ingest_without_files_is_refused(client: FlaskClient, settings: Settings) -> None:
    response = client.post(f"{API}/ingest")
    assert response.status_code == 422
    assert response.json["error"]["code"] == "bad-request"
    assert list(settings.uploads.iterdir()) == []


def test_a_query_by_file_becomes_a_job(client: FlaskClient, database: Database, settings: Settings) -> None:
    form = {"file": (io.BytesIO(b"bytes"), "x.dcm"), "k": "3", "where": ["modality=MR", "subclass=brain"]}
    response = client.post(f"{API}/query", data=form)
    assert response.status_code == 202
    job = only_job(database)
    where = Where(modality="MR", label={"subclass": "brain"})
    assert job.parameters["where"] == where.as_json()
    assert job.parameters["k"] == 3
    folder = settings.uploads / job.parameters["upload"]["folder"]
    assert (folder / "0").read_bytes() == b"bytes"


@pytest.mark.parametrize(
    "asked",
    [
        {"frame_id": 1, "k": 9, "where": ["body_part=HEAD"], "exclude_same_patient": True},
        {"sop_instance_uid": "1.2.3", "frame_number": 2, "encoder": None},
    ],
)
def test_a_query_in_json_becomes_a_job(client: FlaskClient, database: Database, asked: dict[str, Any]) -> None:
    assert client.post(f"{API}/query", json=asked).status_code == 202
    parameters = only_job(database).parameters
    asked["where"] = Where.parse(asked.get("where", [])).as_json()
    assert parameters.items() >= asked.items()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "Nothing to search for."),
        ({"frame_id": 1, "sop_instance_uid": "1.2"}, "More than one image to search for."),
        ({"frame_id": 1, "k": 0}, "k: Must be greater than or equal to 1"),
        ({"frame_id": 1, "k": 1.5}, "k: Not a valid integer."),
        ({"frame_id": "x"}, "frame_id: Not a valid integer."),
        ({"frame_id": 1, "where": ["modality=MR", "modality=CR"]}, "The filter gives modality twice."),
        ({"frame_id": 1, "hits": 5}, "hits: Unknown field."),
        ({"sop_instance_uid": "1.2'; DROP TABLE jobs"}, "sop_instance_uid: Not a DICOM UID."),
        ([], "The body is no JSON object."),
    ],
)
def test_a_query_that_makes_no_sense_is_refused(
    client: FlaskClient, database: Database, body: Any, reason: str
) -> None:
    response = client.post(f"{API}/query", json=body)
    assert response.status_code == 422
    assert response.json["error"]["code"] == "bad-request"
    assert reason in response.json["error"]["reason"]
    with database.read() as session:
        assert jobs.listing(session) == []


def test_waiting_for_an_answer_ends_in_time(client: FlaskClient) -> None:
    response = client.post(f"{API}/query?wait=0.2", json={"frame_id": 1})
    assert response.status_code == 202
    assert response.json["state"] == "queued"
    assert client.post(f"{API}/query?wait=61", json={"frame_id": 1}).status_code == 422


def test_jobs_are_listed_looked_at_cancelled_and_retried(client: FlaskClient, database: Database) -> None:
    job_id = client.post(f"{API}/extract", json={}).json
    assert job_id["error"]["code"] == "not-found"  # there is no encoder
    assert client.post(f"{API}/train", json={"architecture": "resnet"}).status_code == 422
    job_id = client.post(f"{API}/train", json={"epochs": 2}).json["id"]
    assert [job["id"] for job in client.get(f"{API}/jobs").json["jobs"]] == [job_id]
    assert client.get(f"{API}/jobs?state=running").json["jobs"] == []
    assert client.get(f"{API}/jobs?state=odd").status_code == 422
    assert client.get(f"{API}/jobs/{job_id}?wait=0.1").json["state"] == "queued"
    assert client.post(f"{API}/jobs/{job_id}/cancel").json["state"] == "cancelled"
    assert client.post(f"{API}/jobs/{job_id}/retry").status_code == 202
    assert client.post(f"{API}/jobs/{job_id}/retry").status_code == 422
    for path in (f"{API}/jobs/none", f"{API}/jobs/none/cancel", f"{API}/jobs/none/retry"):
        response = client.get(path) if path.endswith("none") else client.post(path)
        assert response.status_code == 404
    with database.read() as session:
        assert jobs.get(session, job_id).state == JobState.QUEUED


def test_a_job_shows_its_error_and_not_its_parameters(client: FlaskClient, database: Database) -> None:
    with database.write() as session:
        job = jobs.create(session, JobKind.INGEST, {"upload": "folder", "files": {}})
        jobs.claim(session, job.id)
        jobs.fail(session, job.id, "disk-full", "The disk is full.", "Make room.")
    shown = client.get(f"{API}/jobs/{job.id}").json
    assert shown["error"] == {"code": "disk-full", "reason": "The disk is full.", "remedy": "Make room."}
    assert "parameters" not in shown


def test_a_search_that_fails_answers_with_its_error(client: FlaskClient, database: Database) -> None:
    def fail_the_first_job() -> None:
        while True:
            with database.read() as session:
                waiting = jobs.listing(session)
            if waiting:
                break
            time.sleep(0.02)
        with database.write() as session:
            jobs.claim(session, waiting[0].id)
            jobs.fail(session, waiting[0].id, "empty-gallery", "There is nothing to search in.", "Ingest.")

    worker = Thread(target=fail_the_first_job)
    worker.start()
    response = client.post(f"{API}/query?wait=30", json={"frame_id": 1})
    worker.join()
    assert response.status_code == 409
    assert response.json["error"] == {
        "code": "empty-gallery", "reason": "There is nothing to search in.", "remedy": "Ingest.",
    }  # fmt: skip


def test_work_on_encoders_is_started(client: FlaskClient, database: Database, archive: Any) -> None:
    bodies = {
        "train": {
            "epochs": 2,
            "seed": 3,
            "side": 32,
            "batch_size": 8,
            "architecture": "cnn-autoencoder",
            "start": "default",
        },
        "extract": {"encoder": archive.encoder},
        "evaluate": {
            "encoder": archive.encoder,
            "k": [1, 2],
            "label": "subclass",
            "by": ["modality"],
            "against": None,
            "probes": [],
        },
    }
    for kind, body in bodies.items():
        assert client.post(f"{API}/{kind}", json=body).status_code == 202
        with database.read() as session:
            (job,) = jobs.listing(session, kind=JobKind(kind))
        assert job.parameters == body
    with database.read() as session:
        (first, *_) = jobs.listing(session, kind=JobKind.EXTRACT)
    assert client.post(f"{API}/extract", json={}).status_code == 202  # the encoder in use
    assert first.parameters["encoder"] == archive.encoder


def test_encoders_are_listed_with_their_features(client: FlaskClient, archive: Any) -> None:
    listed = client.get(f"{API}/encoders").json
    assert listed["frames"] == 5
    (encoder,) = listed["encoders"]
    assert encoder["id"] == archive.encoder
    assert encoder["features"] == 5
    assert encoder["metrics"]["best_epoch"] == 4


def test_images_are_browsed(client: FlaskClient, archive: Any) -> None:
    listed = client.get(f"{API}/images?where=modality=MR&limit=1").json
    assert listed["total"] == 2
    (image,) = listed["images"]
    assert image["instance_id"] == archive.instances[1]
    assert image["frames"] == 2
    shown = client.get(f"{API}/images/{archive.instances[1]}").json
    assert [frame["frame_number"] for frame in shown["frames"]] == [1, 2]
    assert shown["labels"]["subclass"] == {"value": "brain", "origin": "manifest"}
    assert "origin" not in shown
    assert client.get(f"{API}/images/99").json["error"]["code"] == "not-found"
    assert client.get(f"{API}/images?limit=0").status_code == 422
    named = client.get(f"{API}/images?sort=file_name").json["images"]
    assert [image["file_name"] for image in named] == sorted(image["file_name"] for image in named)
    refused = client.get(f"{API}/images?sort=patient")
    assert refused.status_code == 422
    assert "added, study_date, file_name" in refused.text


@pytest.mark.parametrize("prefix", ["", API])
def test_pictures_are_png_for_this_browser_alone(client: FlaskClient, archive: Any, prefix: str) -> None:
    full = client.get(f"{prefix}/frames/{archive.frames[0]}/picture.png")
    small = client.get(f"{prefix}/frames/{archive.frames[0]}/thumbnail.png?side=20")
    assert Image.open(io.BytesIO(full.data)).size == (30, 40)
    assert Image.open(io.BytesIO(small.data)).size == (15, 20)
    assert full.mimetype == "image/png"
    assert full.headers["Cache-Control"] == "private, no-cache", "asked for again: it may be deleted or replaced"
    known = {"If-None-Match": full.headers["ETag"]}
    again = client.get(f"{prefix}/frames/{archive.frames[0]}/picture.png", headers=known)
    assert again.status_code == 304
    assert client.get(f"{prefix}/frames/99/picture.png").status_code == 404
    assert client.get(f"{prefix}/frames/{archive.frames[0]}/thumbnail.png?side=100000").status_code == 422
    assert client.get(f"{prefix}/frames/..%2f..%2fsecret.key/picture.png").status_code == 404


def test_the_quarantine_is_listed(client: FlaskClient, database: Database) -> None:
    with database.write() as session:
        for name in ("a.dcm", "b.dcm", "c.dcm"):
            quarantine.put(session, file_name=name, origin="/secret", sha256=name, code="no-pixels", reason="none")
    listed = client.get(f"{API}/quarantine?limit=2").json
    assert listed["total"] == 3
    assert len(listed["quarantine"]) == 2
    assert "/secret" not in str(listed)
