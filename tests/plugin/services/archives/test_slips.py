"""What would be passed over without a word is refused, when it is said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cbmir.archive.connection import ArchiveKind, Connection, Credentials, Retrieval, Rules
from cbmir.errors import BadRequest
from cbmir.services.archives.editing import apply, planned
from cbmir.services.archives.registered import add
from cbmir.settings import Settings
from cbmir.store import archives
from cbmir.store.session import Database

NODE = Connection("pacs", ArchiveKind.DIMSE, "PACS@host:104")
VIEWER = "https://ohif/viewer?StudyInstanceUIDs={study}"


@pytest.mark.parametrize("viewer", ["ohif", "ohif/{study}", "javascript:alert({study})", "https://[::1/{study}"])
def test_a_viewer_that_no_hit_can_link_to(database: Database, settings: Settings, viewer: str) -> None:
    with pytest.raises(BadRequest, match="no URL"):
        add(database, settings, replace(NODE, viewer=viewer))


@pytest.mark.parametrize("code", ["CT; MR", "CT MR", "CT/MR", "", "ct"])
def test_what_is_no_modality(database: Database, settings: Settings, code: str) -> None:
    for rules in (Rules(modalities=("US", code)), Rules(without_modalities=(code,))):
        with pytest.raises(BadRequest, match="no modality"):
            add(database, settings, replace(NODE, rules=rules))
    add(database, settings, replace(NODE, rules=Rules(modalities=("CT", "MR"))))
    with pytest.raises(BadRequest, match="no modality"):
        planned(database, settings, "pacs", {"modalities": (code,)})


def test_a_slip_in_braces(database: Database, settings: Settings) -> None:
    with pytest.raises(BadRequest, match="in braces") as said:
        add(database, settings, replace(NODE, viewer="https://ohif/{studie}"))
    assert "{study}" in said.value.remedy


def test_credentials_for_who_knows_none(database: Database, settings: Settings) -> None:
    with pytest.raises(BadRequest, match="knows no credentials: username, password") as said:
        add(database, settings, replace(NODE, credentials=Credentials("alice", "secret")))
    assert "secret" not in said.value.sentence


def test_what_only_dimse_has_for_a_url(database: Database, settings: Settings) -> None:
    web = Connection("web", ArchiveKind.DICOMWEB, "https://host/dicom-web")
    with pytest.raises(BadRequest, match="mean nothing: encryption of DIMSE, C-GET or C-MOVE") as said:
        add(database, settings, replace(web, tls=True, retrieve=Retrieval.MOVE))
    assert "https://" in said.value.remedy
    add(database, settings, web)
    with pytest.raises(BadRequest, match="mean nothing: the port of a C-MOVE"):
        planned(database, settings, "web", {"move_port": 104})


def test_what_only_dimse_has_can_be_set_back_after_a_move_to_a_url(database: Database, settings: Settings) -> None:
    add(database, settings, replace(NODE, tls=True, calling_aet="READER"))
    moved = {"address": "https://host/dicom-web", "kind": ArchiveKind.DICOMWEB}
    assert planned(database, settings, "pacs", moved).after.calling_aet == "READER"
    assert not planned(database, settings, "pacs", moved | {"tls": False, "calling_aet": "CBMIR"}).after.tls


def test_what_is_no_address_is_not_taken_for_dimse(database: Database, settings: Settings) -> None:
    with pytest.raises(BadRequest, match="address") as said:
        add(database, settings, replace(NODE, address="host:8042", credentials=Credentials("alice", "secret")))
    assert "credentials" not in said.value.sentence


def test_a_move_to_a_node_is_known_by_the_address(database: Database, settings: Settings) -> None:
    add(database, settings, Connection("web", ArchiveKind.DICOMWEB, "https://host/dicom-web"))
    assert planned(database, settings, "web", {"address": "PACS@host:104"}).after.kind is ArchiveKind.DIMSE


def test_a_node_that_moves_to_a_url_is_a_dicomweb_server_until_somebody_asks_it(
    database: Database, settings: Settings
) -> None:
    add(database, settings, NODE)
    moved = planned(database, settings, "pacs", {"address": "https://host/dicom-web"})
    assert (moved.after.kind, moved.moves) == (ArchiveKind.DICOMWEB, True)
    apply(database, settings, moved)


def test_another_address_may_come_with_what_is_for_it(database: Database, settings: Settings) -> None:
    add(database, settings, NODE)
    web = {"address": "https://host/dicom-web", "username": "alice", "password": "secret"}
    assert planned(database, settings, "pacs", web).after.credentials.username == "alice"
    add(database, settings, Connection("web", ArchiveKind.DICOMWEB, "https://host/dicom-web"))
    assert planned(database, settings, "web", {"address": "PACS@host:104", "tls": True}).after.tls


def test_an_edit_is_refused_too_but_what_was_so_before_stays(database: Database, settings: Settings) -> None:
    add(database, settings, replace(NODE, viewer=VIEWER))

    def edited(**changes: Any) -> Connection:
        return planned(database, settings, "pacs", changes).after

    for changes in ({"viewer": "ohif"}, {"username": "alice", "password": "secret"}):
        with pytest.raises(BadRequest):
            edited(**changes)
    with database.write() as session:
        row = archives.get(session, "pacs")
        archives.change(session, row.id, options={**row.options, "viewer": "ohif"})  # by an earlier version
    assert edited(parallel=2).viewer == "ohif"
