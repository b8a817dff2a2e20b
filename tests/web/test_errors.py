"""One map from code to status, one shape of JSON, one page for people; no traces."""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from cbmir import errors
from cbmir.errors import CbmirError
from cbmir.settings import Settings
from cbmir.store.session import Database
from cbmir_web.app import create_app
from cbmir_web.errors import STATUS


def family(error: type[CbmirError]) -> set[type[CbmirError]]:
    """The error and all that descend from it."""
    return {error}.union(*map(family, error.__subclasses__()))


def test_every_error_has_a_status() -> None:
    assert {error.code for error in family(CbmirError)} <= STATUS.keys()


@pytest.mark.parametrize("error", sorted(family(CbmirError), key=lambda each: (each.code, each.__name__)))
def test_every_error_is_answered_in_one_shape(app: Flask, error: type[CbmirError]) -> None:
    @app.get("/api/v1/raise")
    def fail() -> None:
        raise error("It went wrong.", "Do it right.")

    response = app.test_client().get("/api/v1/raise")
    assert response.status_code == STATUS[error.code]
    assert response.json == {"error": {"code": error.code, "reason": "It went wrong.", "remedy": "Do it right."}}


def shape(response: Any) -> str:
    """The code of an error, having checked that the answer has the shape of one and nothing else."""
    assert set(response.json) == {"error"}
    assert set(response.json["error"]) == {"code", "reason", "remedy"}
    assert response.json["error"]["reason"]
    return str(response.json["error"]["code"])


def test_what_flask_refuses_has_the_same_shape(client: FlaskClient) -> None:
    assert shape(client.get("/api/v1/nothing")) == "not-found"
    wrong_method = client.delete("/api/v1/jobs")
    assert shape(wrong_method) == "method-not-allowed"
    assert "GET" in wrong_method.headers["Allow"]
    assert shape(client.post("/api/v1/train", data="{", content_type="application/json")) == "malformed"
    assert shape(client.post("/api/v1/query", data="{", content_type="application/json")) == "malformed"
    assert shape(client.post("/api/v1/train", json={"epochs": -1, "odd": 1})) == "bad-request"
    assert shape(client.get("/api/v1/images/99999")) == "not-found"


UNREADABLE = {
    "nested lists": "[" * 100_000,
    "nested objects": '{"k":' * 100_000,
    "a number without end": '{"epochs": ' + "9" * 5000 + "}",
    "half a character": '{"k": "\\ud800"}',
    "no number": '{"k": NaN}',
    "no UTF-8": b'{"k": "\xff"}',
}


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_json_that_cannot_be_read_is_the_callers_mistake(client: FlaskClient, body: str | bytes) -> None:
    for path in ("train", "query", "archives", "encoders/back", "quarantine/retry"):
        answer = client.post(f"/api/v1/{path}", data=body, content_type="application/json")
        assert shape(answer) == "malformed", path


def test_several_wrong_fields_are_all_named(client: FlaskClient) -> None:
    reason = client.post("/api/v1/train", json={"epochs": -1, "odd": 1}).json["error"]["reason"]
    assert "epochs: Must be" in reason
    assert "odd: Unknown field." in reason


def test_too_large_an_upload_names_the_limit(settings: Settings, database: Database) -> None:  # noqa: ARG001
    client = create_app(replace(settings, max_upload_bytes=20_000)).test_client()
    sent = {"files": (io.BytesIO(b"x" * 30_000), "big.dcm")}
    response = client.post("/api/v1/ingest", data=sent)
    assert response.status_code == 413
    assert shape(response) == "too-large"
    assert "the 20 kB that" in response.json["error"]["reason"]
    assert list(settings.uploads.iterdir()) == []


def test_people_get_a_page(client: FlaskClient) -> None:
    response = client.get("/nothing")
    assert response.status_code == 404
    assert response.mimetype == "text/html"
    assert "There is nothing at this address." in response.text
    assert client.get("/nothing", headers={"Accept": "application/json"}).mimetype == "application/json"


@pytest.mark.parametrize("path", ["/api/v1/break", "/break"])
def test_what_nobody_foresaw_shows_no_trace(app: Flask, caplog: pytest.LogCaptureFixture, path: str) -> None:
    patient = "Doe"

    @app.get(path)
    def fail() -> None:
        raise ZeroDivisionError(patient)

    with caplog.at_level(logging.INFO):
        response = app.test_client().get(path)
    assert response.status_code == 500
    assert "Traceback" not in response.text
    assert "Doe" not in response.text + caplog.text
    assert "ZeroDivisionError" in caplog.text
    assert "test_errors.py" in caplog.text


def test_a_form_without_its_token_is_refused(client: FlaskClient, token: Callable[..., str]) -> None:
    response = client.post("/upload", data={"csrf_token": "wrong"})
    assert response.status_code == 400
    assert "What you typed is still here: nothing of it has been done." in response.text
    assert client.post("/", data={"csrf_token": token(), "frame_id": "1"}).status_code == 303


def test_a_form_that_was_open_all_day_is_taken(
    client: FlaskClient, token: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as morning:
        morning.setattr("itsdangerous.TimestampSigner.get_timestamp", lambda _: int(time.time()) - 10 * 3600)
        opened = token()
    assert client.post("/", data={"csrf_token": opened, "frame_id": "1"}).status_code == 303


def test_a_missing_schema_is_said(settings: Settings) -> None:
    client = create_app(settings).test_client()
    response = client.get("/api/v1/jobs")
    assert response.status_code == 503
    assert shape(response) == "schema-outdated"
    assert "cbmir db upgrade" in response.json["error"]["remedy"]


def test_the_tree_and_the_webs_own_codes_do_not_clash() -> None:
    own = {"malformed", "form-expired", "untrusted-host", "unauthorized", "forbidden", "method-not-allowed"}
    assert not own & {error.code for error in family(errors.CbmirError)}


@pytest.mark.parametrize("path", ["/library/{}", "/api/v1/images/{}", "/api/v1/frames/{}/picture.png"])
def test_a_number_larger_than_any_row_is_not_found(client: FlaskClient, path: str) -> None:
    assert client.get(path.format(10**20)).status_code == 404


@pytest.mark.parametrize(
    ("path", "page"),
    [
        ("/archives/pacs/test", "/archives"),
        ("/encoders/train", "/encoders"),
        ("/library/5/label", "/library/5"),
        ("/queries/none/why", "/queries/none"),
    ],
)
def test_an_address_that_takes_a_form_leads_to_its_page(client: FlaskClient, path: str, page: str) -> None:
    visited = client.get(path)
    assert (visited.status_code, visited.location) == (303, page)
    assert client.put(path).status_code == 405
    assert client.get(path, headers={"Accept": "application/json"}).status_code == 405


@pytest.mark.parametrize("number", ["9" * 30, str(2**63), "-1"])
def test_a_number_that_no_image_can_have_is_no_fault_of_ours(
    client: FlaskClient, token: Callable[..., str], number: str
) -> None:
    page = client.get(f"/?frame_id={number}")
    assert (page.status_code, 'name="file"' in page.text) == (200, True)
    assert client.post("/", data={"csrf_token": token(), "frame_id": number}).status_code == 422
    assert client.post("/api/v1/query", json={"frame_id": int(number)}).status_code == 422


@pytest.mark.parametrize(
    "path",
    ["", "upload", "encoders/train", "encoders/none/activate", "encoders/none/free", "jobs/none/cancel",
     "archives", "archives/none/test", "archives/none/edit", "archives/none/pause", "queries/none/why",
     "queries/none/report", "library/9/label", "library/9/delete", "quarantine/retry"],
)  # fmt: skip
def test_a_form_that_is_refused_is_told_so_in_json_where_that_is_preferred(
    client: FlaskClient, token: Callable[..., str], path: str
) -> None:
    form = {"csrf_token": token(), "epochs": "0"}
    response = client.post(f"/{path}", data=form, headers={"Accept": "application/json, text/html;q=0.5"})
    assert response.status_code in (404, 422)
    assert shape(response)
