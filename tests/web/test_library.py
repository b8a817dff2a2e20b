"""The library page: filters, text, pages, order."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient


def test_the_library_filters_and_finds(client: FlaskClient, archive: Any) -> None:  # noqa: ARG001
    assert "4 images" in client.get("/library").text
    brains = client.get("/library?where=modality=MR&where=subclass=brain").text
    assert "a.dcm" in brains
    assert "b.dcm" in brains
    assert "c.dcm" not in brains
    assert "c.dcm" in client.get("/library?text=1.2.3.2").text
    assert "a.dcm" not in client.get("/library?text=C.DC").text
    assert "No image matches" in client.get("/library?text=nothing").text
    assert client.get("/library?where=nonsense").status_code == 422


def test_filters_that_no_field_shows_stay(client: FlaskClient, archive: Any) -> None:  # noqa: ARG001
    box = 'name="where" value="subclass!=brain" checked'
    for path in ("/library", "/"):
        assert box in client.get(f"{path}?where=modality=cr&where=subclass!%3Dbrain").text, path
    assert "subclass!=brain" not in client.get("/library").text


def test_filters_that_make_no_sense_are_explained_on_the_form(client: FlaskClient, archive: Any) -> None:  # noqa: ARG001
    address = "/library?where=body_part=HEAD&text=a.dcm&where=body_part=HAND"
    refused = client.get(address)
    assert refused.status_code == 422
    assert "The filter gives body_part twice." in refused.text
    assert "match" not in refused.text, "nothing was looked for"
    assert 'value="a.dcm"' in refused.text
    to_program = client.get(address, headers={"Accept": "application/json"})
    assert (to_program.status_code, to_program.json["error"]["code"]) == (422, "bad-request")


def test_the_library_has_pages(client: FlaskClient, archive: Any, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001
    monkeypatch.setattr("cbmir_web.pages.library.ON_A_PAGE", 2)
    first, second = client.get("/library").text, client.get("/library?page=2").text
    assert 'rel="next"' in first
    assert 'rel="prev"' in second
    assert "a.dcm" not in first
    assert "a.dcm" in second
    assert client.get("/library?page=-7").status_code == 200
    named = client.get("/library?sort=file_name").text
    assert "a.dcm" in named
    assert "sort=file_name&amp;page=2" in named, "the next page goes on in this order"
    assert "a.dcm" in client.get("/library?sort=patient&page=2").text
    assert client.get("/library?page=99999999999999999999").status_code == 200


def test_more_images_than_are_counted_are_told_of_and_reached(
    client: FlaskClient,
    archive: Any,  # noqa: ARG001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cbmir_web.pages.library.ON_A_PAGE", 1)
    monkeypatch.setattr("cbmir.services.retrieval.library.MOST_COUNTED", 1)
    first, last = client.get("/library").text, client.get("/library?page=4").text
    assert "more than 2 images" in first
    assert 'rel="next"' in client.get("/library?page=2").text
    assert "more than" not in last
    assert "4 images" in last
