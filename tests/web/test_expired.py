"""A form of an earlier session: what was typed is still there, and is sent again by one click."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from flask.testing import FlaskClient

Token = Callable[..., str]
OLD = "the token of an earlier session"
FIELD = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)">')


def fields(page: str) -> dict[str, str]:
    """What a page's form sends by itself."""
    return {name: unescape(value) for name, value in FIELD.findall(page)}


def test_what_was_typed_is_sent_again_by_one_click(client: FlaskClient, token: Token, archive: Any) -> None:
    address = f"/library/{archive.instances[0]}/label"
    token(f"/library/{archive.instances[0]}")
    typed = {"name": "remark", "value": 'left <"knee"> & hip'}
    expired = client.post(address, data=typed | {"csrf_token": OLD})
    assert expired.status_code == 400
    assert "nothing of it has been done" in expired.text
    sent = fields(expired.text)
    assert typed.items() <= sent.items()
    assert sent["csrf_token"] != OLD
    assert "remark" not in client.get(f"/api/v1/images/{archive.instances[0]}").json["labels"]
    assert client.post(address, data=sent).status_code == 303
    kept = client.get(f"/api/v1/images/{archive.instances[0]}").json["labels"]
    assert kept["remark"]["value"] == typed["value"]


def test_secrets_and_files_are_asked_for_anew(client: FlaskClient) -> None:
    secret = {"name": "pacs", "password": "geheim-1", "token": "", "client_secret": "geheim-2"}
    page = client.post("/archives", data=secret | {"csrf_token": OLD}).text
    assert "geheim" not in page
    assert 'value="pacs"' in page
    for name, asked in (("password", True), ("client_secret", True), ("token", False)):
        assert (f'name="{name}" type="password"' in page) is asked
    page = client.post(
        "/upload", data={"csrf_token": OLD, "files": [(io.BytesIO(b"x"), "a.dcm"), (io.BytesIO(b"y"), "b.dcm")]}
    ).text
    assert "Choose again: a.dcm, b.dcm" in page
    assert 'name="files" type="file" required multiple' in page


@pytest.mark.parametrize("origin", ["null", "https://elsewhere.example"])
def test_what_another_site_filled_in_is_not_offered(client: FlaskClient, origin: str) -> None:
    made_up = {"name": "made-up", "csrf_token": OLD}
    refused = client.post("/archives", data=made_up, headers={"Origin": origin})
    assert refused.status_code == 403
    assert "made-up" not in refused.text


def test_a_program_is_told_in_json(client: FlaskClient) -> None:
    told = client.post("/archives", data={"csrf_token": OLD}, headers={"Accept": "application/json"})
    assert (told.status_code, told.json["error"]["code"]) == (400, "form-expired")
