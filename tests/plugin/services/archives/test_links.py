"""Links into viewers: which archive's, to which address, and never anything but the web."""

from __future__ import annotations

from typing import Any

import pytest

from cbmir.services.archives.links import Link, places, viewer_links, with_viewers
from cbmir.store import archives, ledger
from cbmir.store.session import Database
from cbmir.types import ObjectState, RemoteInstance

REMOTE = "0a9b3153-2512774b-2d9580de-1fc3dcf6-3bd83918"


def follow(
    database: Database, name: str, uid: str = "1.2.3", *, kind: str = "orthanc", held: bool = True, **options: Any
) -> None:
    """An archive that holds one object."""
    address = options.pop("address", "http://pacs:8042/")
    with database.write() as session:
        row = archives.add(session, name=name, kind=kind, address=address, options=options, sealed_credentials=b"")
        remote = REMOTE if kind == "orthanc" else ""
        listed = RemoteInstance(uid, "1.2.3.series", "1.2.3.study", remote_id=remote)
        ledger.take_in(session, row.id, [listed], lambda _: True)
        (found,) = ledger.pending(session, row.id, 1)
        ledger.settle(session, found.id, found.revision, ObjectState.HELD if held else ObjectState.SET_ASIDE)


def link(database: Database, uid: str = "1.2.3") -> Link | None:
    with database.read() as session:
        return viewer_links(session, [uid]).get(uid)


def test_orthanc_has_a_page_of_its_own(any_database: Database) -> None:
    follow(any_database, "pacs")
    assert link(any_database) == Link("pacs", f"http://pacs:8042/app/explorer.html#instance?uuid={REMOTE}")
    assert link(any_database, "1.2.4") is None


def test_a_viewer_is_told_what_to_show(database: Database) -> None:
    follow(
        database, "pacs", viewer="https://ohif/viewer?StudyInstanceUIDs={study}&s={series}&i={instance}&r={remote}"
    )
    shown = link(database)
    assert shown
    assert shown.url == f"https://ohif/viewer?StudyInstanceUIDs=1.2.3.study&s=1.2.3.series&i=1.2.3&r={REMOTE}"


def test_values_are_quoted(database: Database) -> None:
    follow(database, "pacs", "1.2/3&x=\"'#", viewer="https://ohif/{instance}")
    assert link(database, "1.2/3&x=\"'#") == Link("pacs", "https://ohif/1.2%2F3%26x%3D%22%27%23")


@pytest.mark.parametrize(
    "viewer",
    [
        "javascript:alert({study})",
        "data:text/html,{study}",
        "//ohif/{study}",
        "/viewer/{study}",
        "ohif/{study}",
        "https:///{study}",
        "https://[::1/{study}",
        "file:///etc/{study}",
    ],
)
def test_only_addresses_of_the_web_come_out(database: Database, viewer: str) -> None:
    follow(database, "pacs", viewer=viewer)
    assert link(database) is None


def test_a_name_and_a_password_stay_here(database: Database) -> None:
    follow(database, "pacs", address="http://alice:secret@pacs:8042")
    shown = link(database)
    assert shown
    assert shown.url.startswith("http://pacs:8042/app/")


def test_without_a_viewer_or_its_value_there_is_no_link(database: Database) -> None:
    follow(database, "web", kind="dicomweb")
    follow(database, "own-id", kind="dicomweb", viewer="https://viewer/{remote}")
    assert link(database) is None
    with database.read() as session:
        assert places(session, "1.2.3") == [Link("web"), Link("own-id")]


def test_of_two_archives_the_first_that_can_show_it_does(database: Database) -> None:
    follow(database, "silent", kind="dicomweb")
    follow(database, "first", kind="dicomweb", viewer="https://first/{study}")
    follow(database, "second", viewer="https://second/{study}")
    assert link(database) == Link("first", "https://first/1.2.3.study")


def test_what_is_not_held_is_not_linked(database: Database) -> None:
    follow(database, "pacs", held=False)
    assert link(database) is None


def test_answers_get_their_links(database: Database) -> None:
    follow(database, "pacs")
    hits = [{"sop_instance_uid": "1.2.3", "rank": 1}, {"sop_instance_uid": None, "rank": 2}]
    with database.read() as session:
        one, other = with_viewers(session, [{"hits": hits, "priors": hits[:1], "k": 5}, {"hits": []}])
    assert [bool(hit["viewer"]) for hit in one["hits"]] == [True, False]
    assert one["priors"][0]["viewer"] == one["hits"][0]["viewer"]
    assert (one["k"], other) == (5, {"hits": []})
