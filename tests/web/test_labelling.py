"""Labels by hand, from an image's page and over REST."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from cbmir.store import instances
from cbmir.store.labels import set_labels
from cbmir.store.session import Database
from cbmir.types import LabelOrigin

Token = Callable[..., str]


def labels(client: FlaskClient, instance_id: int) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = client.get(f"/api/v1/images/{instance_id}").get_json()["labels"]
    return found


def test_a_form_labels_an_image_and_takes_the_label_away(client: FlaskClient, token: Token, archive: Any) -> None:
    address = f"/library/{archive.instances[0]}"
    form = {"csrf_token": token(address), "name": " subclass ", "value": "torn meniscus"}
    response = client.post(f"{address}/label", data=form)
    assert (response.status_code, response.location) == (303, address)
    assert labels(client, archive.instances[0])["subclass"] == {"value": "torn meniscus", "origin": "user"}
    assert "from somebody here" in client.get(address).text
    found = client.get("/api/v1/images?where=subclass%3Dtorn meniscus").get_json()["images"]
    assert [each["instance_id"] for each in found] == [archive.instances[0]]
    assert client.post(f"{address}/label", data=form | {"value": ""}).status_code == 303
    assert "subclass" not in labels(client, archive.instances[0])


def test_a_label_of_several_lines_is_kept_on_one(client: FlaskClient, archive: Any) -> None:
    address = f"/api/v1/images/{archive.instances[0]}"
    said = client.patch(address, json={"labels": {"read\nby": "one\r\nof us", "finding": "mass |\n cyst"}})
    assert {"read by": "one of us", "finding": "mass|cyst"}.items() <= {
        name: label["value"] for name, label in said.get_json()["labels"].items()
    }.items()
    assert "read by" not in client.patch(address, json={"labels": {"read\nby": None}}).get_json()["labels"]


def test_a_filter_and_a_page_show_each_label_of_a_value(client: FlaskClient, archive: Any) -> None:
    client.patch(f"/api/v1/images/{archive.instances[0]}", json={"labels": {"finding": "mass|cyst"}})
    page = client.get("/library?where=finding%3Dmass").text
    assert '<option value="finding=mass" selected>mass (1)</option>' in page
    assert '<option value="finding=cyst">cyst (1)</option>' in page
    assert 'title="finding = cyst">cyst</li>' in page
    assert "mass|cyst" not in page
    whole = client.get("/library?where=finding%3Dmass|cyst").text
    assert 'name="where" value="finding=mass|cyst" checked' in whole
    assert all("1 image match" in shown for shown in (page, whole))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("", "x", "The name of a label has 0 characters"),
        ("n" * 65, "x", "The name of a label has 65 characters"),
        ("subclass", "v" * 201, "has 201 characters"),
    ],
)
def test_what_is_no_label_is_refused_in_words(
    client: FlaskClient, token: Token, archive: Any, name: str, value: str, said: str
) -> None:
    address = f"/library/{archive.instances[0]}"
    before = labels(client, archive.instances[0])
    response = client.post(f"{address}/label", data={"csrf_token": token(address), "name": name, "value": value})
    assert response.status_code == 422
    assert said in response.text
    assert labels(client, archive.instances[0]) == before


def test_a_program_labels_several_at_once_and_leaves_the_rest(client: FlaskClient, archive: Any) -> None:
    address = f"/api/v1/images/{archive.instances[0]}"
    before = labels(client, archive.instances[0])
    answer = client.patch(address, json={"labels": {"side": "left", "remark": "seen twice", "absent": None}})
    said = {"side": "left", "remark": "seen twice"}
    given = {name: {"value": value, "origin": "user"} for name, value in said.items()}
    assert answer.get_json()["labels"] == before | given
    answer = client.patch(address, json={"labels": {"remark": ""}})
    assert answer.get_json()["labels"].keys() == before.keys() | {"side"}
    for wrong in ({}, {"labels": ["side"]}, {"labels": {"side": 1}}, {"labels": {}, "more": 1}):
        assert client.patch(address, json=wrong).status_code == 422
    assert client.patch("/api/v1/images/999", json={"labels": {}}).status_code == 404
    elsewhere = {"Origin": "http://elsewhere.example"}
    assert client.patch(address, json={"labels": {}}, headers=elsewhere).status_code == 403


def test_a_manifest_does_not_undo_it(client: FlaskClient, database: Database, archive: Any) -> None:
    client.patch(f"/api/v1/images/{archive.instances[0]}", json={"labels": {"subclass": "tear"}})
    with database.write() as session:
        (row,) = instances.of_ids(session, [archive.instances[0]])
        assert not set_labels(session, row, {"subclass": "other"}, LabelOrigin.MANIFEST)
    assert labels(client, archive.instances[0])["subclass"] == {"value": "tear", "origin": "user"}
