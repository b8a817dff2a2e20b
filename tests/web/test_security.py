"""Hosts, passwords, other sites, headers, names: what keeps patients' images in the house."""

from __future__ import annotations

import base64
import io
import logging
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient

from cbmir.errors import BadRequest, DiskFull
from cbmir.settings import Settings, is_loopback
from cbmir.store.session import Database
from cbmir_web.actions import uploads
from cbmir_web.app import create_app

PATHS = ("/", "/library", "/readyz", "/metrics", "/api/openapi.json", "/api/docs/", "/api/v1/jobs")


def basic(name: str, password: str) -> dict[str, str]:
    """The header of HTTP Basic authentication."""
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "pacs.example.org"])
def test_an_open_door_without_a_password_is_refused(settings: Settings, host: str) -> None:
    for open_settings in (replace(settings, host=host), replace(settings, host=host, username="radiology")):
        with pytest.raises(BadRequest, match="no password is configured"):
            create_app(open_settings)
    create_app(replace(settings, host=host, username="radiology", password="secret"))


@pytest.mark.parametrize("half", [{"username": "radiology"}, {"password": "secret"}])
def test_half_a_password_is_refused_also_on_loopback(settings: Settings, half: dict[str, str]) -> None:
    with pytest.raises(BadRequest, match="only one is set"):
        create_app(replace(settings, **half))


def test_loopback_is_told_from_the_rest() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.8.8.8", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "10.0.0.1", "localhost.example.org", "")))


def test_a_password_guards_everything_but_the_sign_of_life(settings: Settings, database: Database) -> None:  # noqa: ARG001
    client = create_app(replace(settings, username="radiology", password="geheim: ä")).test_client()
    assert client.get("/healthz").status_code == 200
    for path in PATHS:
        refused = client.get(path)
        assert refused.status_code == 401, path
        assert refused.headers["WWW-Authenticate"].startswith("Basic")
        for wrong in (basic("radiology", "geheim"), basic("Radiology", "geheim: ä"), basic("", "")):
            assert client.get(path, headers=wrong).status_code == 401
        with client.get(path, headers=basic("radiology", "geheim: ä")) as response:
            assert response.status_code in (200, 503), path
    assert client.get("/api/v1/jobs").json["error"]["code"] == "unauthorized"
    stranger = client.get("/nothing", headers={"Accept": "text/html"})
    assert (stranger.status_code, stranger.mimetype) == (401, "text/plain")  # not even which version this is
    assert client.post("/api/v1/train", json={}).status_code == 401


@pytest.mark.parametrize("host", ["evil.example.org", "127.0.0.1.evil.org", "localhost:8000.evil.org", "10.0.0.1"])
def test_a_request_that_names_another_host_is_refused(client: FlaskClient, host: str) -> None:
    for path in ("/", "/api/v1/jobs", "/frames/1/picture.png"):
        assert client.get(path, headers={"Host": host}).status_code == 400
    response = client.get("/api/v1/jobs", headers={"Host": host})
    assert response.json["error"]["code"] == "untrusted-host"
    assert "CBMIR_TRUSTED_HOSTS" in response.json["error"]["remedy"]
    assert host not in response.text


def test_another_host_without_a_password_is_refused_without_a_stack_trace(
    settings: Settings,
    database: Database,  # noqa: ARG001
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = create_app(replace(settings, username="radiology", password="geheim")).test_client()
    for path in PATHS:
        response = client.get(path, headers={"Host": "evil.example.org", "Accept": "text/html"})
        assert response.status_code in (400, 401), path
    assert "Traceback" not in caplog.text


def test_configured_hosts_are_trusted(settings: Settings, database: Database) -> None:  # noqa: ARG001
    known = replace(settings, trusted_hosts="cbmir.hospital.org, web", port=8000)
    client = create_app(known).test_client()
    for host in ("127.0.0.1:8000", "localhost", "cbmir.hospital.org", "web:8000"):
        assert client.get("/healthz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example.org"},
        {"Origin": "http://localhost:9999"},
        {"Origin": "null"},
        {"Origin": "http://["},
    ],
)
def test_other_sites_can_start_nothing(client: FlaskClient, headers: dict[str, str]) -> None:
    for path in ("/api/v1/train", "/api/v1/query", "/api/v1/ingest", "/"):
        response = client.post(path, json={"frame_id": 1}, headers={**headers, "Accept": "application/json"})
        assert response.status_code == 403, path
        assert response.json["error"]["code"] == "forbidden"
    assert client.get("/api/v1/jobs", headers=headers).json == {"jobs": []}


@pytest.mark.parametrize(
    "headers", [{}, {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"}, {"Sec-Fetch-Site": "none"}]
)
def test_our_own_pages_and_programs_may(client: FlaskClient, headers: dict[str, str]) -> None:
    assert client.post("/api/v1/train", json={"epochs": 1}, headers=headers).status_code == 202


def test_browsers_are_bound(client: FlaskClient) -> None:
    headers = client.get("/").headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "Access-Control-Allow-Origin" not in headers


def test_only_the_browsable_description_may_have_inline_styles(client: FlaskClient) -> None:
    policy = client.get("/api/docs/").headers["Content-Security-Policy"]
    assert "style-src 'self' 'unsafe-inline'" in policy
    assert "script-src 'self';" in policy


def test_the_session_cookie_is_kept_from_scripts_and_other_sites(client: FlaskClient) -> None:
    cookie = client.get("/").headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie


@pytest.mark.usefixtures("database")
def test_two_installations_of_one_host_have_sessions_of_their_own(settings: Settings) -> None:
    installations = (settings, settings, replace(settings, secret_key="another" * 8))
    clients = (create_app(each).test_client() for each in installations)
    ours, again, theirs = (each.get("/").headers["Set-Cookie"].partition("=")[0] for each in clients)
    assert ours.startswith("cbmir-")
    assert ours == again != theirs, "a browser sends both to each of them, whatever the port"


def test_pages_have_no_inline_scripts_or_styles(client: FlaskClient, archive: Any) -> None:
    image = f"/library/{archive.instances[1]}"
    for path in ("/", "/library", image, "/upload", "/jobs", "/encoders", "/quarantine"):
        page = client.get(path).text
        assert "<script>" not in page
        assert " style=" not in page
        assert " onclick=" not in page
        assert "//" not in page.replace("<!doctype html>", "").replace("http://localhost", "")


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\doe\\x.dcm", "x.dcm"),
        ("a\x00b\nc.dcm", "abc.dcm"),
        ("", "unnamed"),
        ("/", "unnamed"),
        (None, "unnamed"),
        ("ä" * 300 + ".dcm", "ä" * 196 + ".dcm"),
    ],
)
def test_a_users_file_name_is_only_its_last_part(given: str | None, shown: str) -> None:
    assert uploads.shown_name(given) == shown


def test_a_full_disk_leaves_nothing_behind(client: FlaskClient, settings: Settings, monkeypatch: Any) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("werkzeug.datastructures.FileStorage.save", full)
    response = client.post("/api/v1/ingest", data={"files": (io.BytesIO(b"x"), "x.dcm")})
    assert response.status_code == 507
    assert response.json["error"]["code"] == DiskFull.code
    assert list(settings.uploads.iterdir()) == []


def test_requests_are_logged_by_route_and_not_by_what_they_name(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        client.get("/library?text=Doe")
        client.get("/Doe")
        client.get("/jobs/Doe")
    assert "Doe" not in caplog.text
    assert "GET /library 200" in caplog.text
    assert "GET /jobs/<job_id> 404" in caplog.text
