"""Deleting from an image's page and over REST: the image, its study or its patient; not what an archive holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from cbmir.store import archives, ledger
from cbmir.store.session import Database
from cbmir.types import ObjectState, RemoteInstance

Token = Callable[..., str]


def names(client: FlaskClient) -> set[str]:
    return {each["file_name"] for each in client.get("/api/v1/images").get_json()["images"]}


def hold(database: Database, uid: str) -> None:
    """An archive that is followed has the object of this UID."""
    with database.write() as session:
        row = archives.add(
            session, name="pacs", kind="orthanc", address="http://pacs", options={}, sealed_credentials=b""
        )
        ledger.take_in(session, row.id, [RemoteInstance(uid, "1.2.3.0", "1.2.3")], lambda _: True)
        (found,) = ledger.pending(session, row.id, 1)
        ledger.settle(session, found.id, found.revision, ObjectState.HELD)


def test_the_page_offers_what_there_is_to_delete(client: FlaskClient, archive: Any) -> None:
    of_a_study = client.get(f"/library/{archive.instances[0]}").text
    assert "All 3 images of its study" in of_a_study
    assert "of its patient" not in of_a_study
    assert "All 1" not in client.get(f"/library/{archive.instances[3]}").text


def test_a_form_deletes_an_image_and_the_library_says_so(client: FlaskClient, token: Token, archive: Any) -> None:
    address = f"/library/{archive.instances[0]}"
    form = {"csrf_token": token(address), "of": "image", "sure": "true"}
    response = client.post(f"{address}/delete", data=form)
    assert (response.status_code, response.location) == (303, "/library")
    assert "1 image is deleted." in client.get("/library").text
    assert "is deleted." not in client.get("/library").text
    assert names(client).isdisjoint({"a.dcm"})
    assert len(names(client)) == 3
    assert client.get(address).status_code == 404
    assert client.post(f"{address}/delete", data=form).status_code == 404


@pytest.mark.parametrize(
    ("form", "says"), [({"of": "study"}, "Tick the box."), ({"of": "world", "sure": "true"}, "of: Must be one of")]
)
def test_what_is_not_confirmed_or_not_understood_deletes_nothing(
    client: FlaskClient, token: Token, archive: Any, form: dict[str, str], says: str
) -> None:
    address = f"/library/{archive.instances[0]}"
    response = client.post(f"{address}/delete", data={"csrf_token": token(address), **form})
    assert response.status_code == 422
    assert says in response.text
    assert len(names(client)) == 4


def test_a_page_of_another_site_deletes_nothing(client: FlaskClient, archive: Any) -> None:
    address = f"/library/{archive.instances[0]}"
    assert client.post(f"{address}/delete", data={"sure": "true"}).status_code == 400
    elsewhere = {"Origin": "http://elsewhere.example"}
    assert client.delete(f"/api/v1/images/{archive.instances[0]}", headers=elsewhere).status_code == 403
    assert len(names(client)) == 4


def test_a_program_deletes_an_image_or_its_study(client: FlaskClient, archive: Any) -> None:
    address = f"/api/v1/images/{archive.instances[0]}"
    assert client.delete(f"{address}?of=series").status_code == 422
    assert client.delete(address).get_json() == {"deleted": 1}
    assert client.delete(address).status_code == 404
    assert client.delete(f"/api/v1/images/{archive.instances[1]}?of=study").get_json() == {"deleted": 2}
    assert len(names(client)) == 1


@pytest.mark.parametrize("of", ["image", "study"])
def test_what_an_archive_holds_is_deleted_there(
    client: FlaskClient, database: Database, token: Token, archive: Any, of: str
) -> None:
    hold(database, "1.2.3.0")
    page = f"/library/{archive.instances[0]}"
    assert "It goes from here when pacs deletes it." in client.get(page).text
    response = client.post(f"{page}/delete", data={"csrf_token": token(), "of": of, "sure": "true"})
    assert response.status_code == 422
    assert "in an archive that is followed: pacs." in response.text
    refused = client.delete(f"/api/v1/images/{archive.instances[1]}?of=study")
    assert refused.status_code == 422
    assert refused.get_json()["error"]["remedy"].startswith("Delete them there")
    assert len(names(client)) == 4
