"""The main job over REST, against the running installation."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Running

pytestmark = pytest.mark.redis


def call(url: str, body: Any = None, files: dict[str, Path] | None = None) -> tuple[int, Any]:
    """Status and JSON of a call: GET without a body, POST with JSON or with files."""
    headers = {"Accept": "application/json"}
    data = None
    if files is not None:
        boundary = uuid.uuid4().hex
        data = b"".join(part(boundary, name, path) for name, path in files.items()) + f"--{boundary}--\r\n".encode()
        headers["Content-Type"] = f"multipart/form-data; boundary={boundary}"
    elif body is not None:
        data, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=120) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def part(boundary: str, name: str, path: Path) -> bytes:
    """One file of a multipart body."""
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{path.name}"\r\n\r\n'
    return head.encode() + path.read_bytes() + b"\r\n"


def test_a_query_is_answered_in_one_call(running: Running) -> None:
    status, answer = call(f"{running.address}/api/v1/query?wait=60", files={"file": running.stranger})
    assert status == 200
    assert [hit["rank"] for hit in answer["hits"]] == [1, 2, 3, 4, 5]
    assert answer["encoder"].startswith("cnn-autoencoder-")
    assert {"rank", "distance", "file_name", "sop_instance_uid", "frame_number", "labels"} <= set(answer["hits"][0])
    again, asked = call(
        f"{running.address}/api/v1/query?wait=60", {"frame_id": answer["hits"][0]["frame_id"], "k": 2}
    )
    assert again == 200
    assert len(asked["hits"]) == 2


def test_a_query_that_cannot_be_answered_says_why(running: Running) -> None:
    status, answer = call(f"{running.address}/api/v1/query?wait=60", {"sop_instance_uid": "1.2.3.4"})
    assert status == 404
    assert answer["error"]["code"] == "not-found"
    status, answer = call(f"{running.address}/api/v1/query?wait=60", files={"file": Path(__file__)})
    assert status == 422
    assert answer["error"]["code"] == "not-a-picture"
    asked = {"sop_instance_uid": running.sop_instance_uid, "where": ["subclass=none"]}
    assert call(f"{running.address}/api/v1/query?wait=60", asked)[1]["error"]["code"] == "empty-gallery"


def test_an_evaluation_is_asked_for_and_waited_for(running: Running) -> None:
    status, job = call(f"{running.address}/api/v1/evaluate", {"k": [1, 3], "label": "subclass"})
    assert status == 202
    _, job = call(f"{running.address}/api/v1/jobs/{job['id']}?wait=60")
    assert job["state"] in ("succeeded", "failed")
    if job["state"] == "succeeded":
        assert set(job["result"]["at"]) == {"1", "3"}


def test_the_export_is_whole(running: Running) -> None:
    status, document = call(f"{running.address}/api/v1/export")
    assert status == 200
    assert document["schema"] == "cbmir-features/1"
    assert len(document["features"]) >= 26


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_it_is_well(running: Running, path: str) -> None:
    assert call(running.address + path)[0] == 200
