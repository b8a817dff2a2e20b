"""An archive described otherwise: what stays, what is refused, and what other rules do to what is here."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from pydicom.uid import CTImageStorage
from sqlalchemy import select

from cbmir.archive.connection import ArchiveKind, Connection, Credentials, Rules
from cbmir.errors import BadRequest, MassDeletion, NotFound
from cbmir.progress import Silence
from cbmir.services.archives import sweep as sweeping
from cbmir.services.archives.editing import apply, planned
from cbmir.services.archives.follow import Follower
from cbmir.services.archives.registered import Followed, add, connection_of, followed
from cbmir.services.archives.sweep import Swept, sweep
from cbmir.services.archives.sync import synchronise
from cbmir.services.archives.verify import verify
from cbmir.services.conversion.isolation import Isolation
from cbmir.settings import Settings
from cbmir.store import archives, ledger
from cbmir.store.session import Database
from cbmir.store.tables import Archive, Instance
from cbmir.types import ObjectState

SECRET = Credentials(username="cbmir", password="old-secret")


@pytest.fixture
def known(any_database: Database, settings: Settings) -> Callable[..., None]:
    """Adds an archive that nobody asks anything of."""

    def known(credentials: Credentials = SECRET, **options: Any) -> None:
        options = {"kind": ArchiveKind.ORTHANC, "address": "http://pacs:8042", **options}
        add(any_database, settings, Connection("pacs", credentials=credentials, **options))
        with any_database.write() as session:
            row = archives.get(session, "pacs")
            archives.change(session, row.id, sweep_wanted=False, cursor="77", connected=True)

    return known


def row(database: Database) -> Archive:
    with database.read() as session:
        return archives.get(session, "pacs")


def edit(database: Database, settings: Settings, changes: dict[str, Any], *, drop: bool = False) -> Connection:
    """Edit the archive; how it is reached then."""
    apply(database, settings, planned(database, settings, "pacs", changes), drop_unmatched=drop)
    return connection_of(row(database), settings)


def test_what_is_not_named_stays(any_database: Database, settings: Settings, known: Any) -> None:
    known(rules=Rules(modalities=("CT",), since="20200101"), parallel=3)
    before = connection_of(row(any_database), settings)
    after = edit(any_database, settings, {"viewer": "https://ohif/{study}", "requests_per_second": 5.0})
    assert after == replace(before, viewer="https://ohif/{study}", requests_per_second=5.0)
    assert (row(any_database).sweep_wanted, row(any_database).cursor) == (False, "77")
    after = edit(any_database, settings, {"modalities": ("MR",), "password": "new-secret"})
    assert after.rules == Rules(modalities=("MR",), since="20200101")
    assert after.credentials == Credentials(username="cbmir", password="new-secret")
    assert row(any_database).sweep_wanted, "by other rules it is compared as a whole"
    assert b"secret" not in row(any_database).sealed_credentials


def test_an_edit_names_what_it_changes_and_no_value(
    any_database: Database, settings: Settings, known: Any, caplog: pytest.LogCaptureFixture
) -> None:
    known()
    with caplog.at_level(logging.INFO):
        changes = {"password": "new-secret", "modalities": ("CT",), "parallel": 4}
        made = planned(any_database, settings, "pacs", changes)
        apply(any_database, settings, made)
    assert (made.changed, made.reaches_otherwise) == (["modalities", "password"], True)
    assert "archive pacs is edited: modalities, password" in caplog.text
    assert "secret" not in caplog.text + repr(made)
    assert not planned(
        any_database, settings, "pacs", {"viewer": "https://x", "until": "20240101"}
    ).reaches_otherwise


@pytest.mark.parametrize(
    ("changes", "left"),
    [
        ({"token": "t"}, Credentials(token="t")),
        ({"username": ""}, Credentials()),
        ({"username": "other"}, Credentials(username="other", password="old-secret")),
        (
            {"token_url": "https://login", "client_id": "i", "client_secret": "s"},
            Credentials(token_url="https://login", client_id="i", client_secret="s"),
        ),
        (dict.fromkeys(vars(Credentials()), ""), Credentials()),
    ],
)
def test_one_way_to_be_let_in_takes_the_place_of_another(
    any_database: Database, settings: Settings, known: Any, changes: dict[str, str], left: Credentials
) -> None:
    known()
    assert edit(any_database, settings, changes).credentials == left


def test_another_host_is_not_told_the_secrets_of_this_one(
    any_database: Database, settings: Settings, known: Any
) -> None:
    known()
    for address in ("http://elsewhere:8042", "http://pacs:9", "https://pacs:8042"):
        with pytest.raises(BadRequest, match="another host") as refused:
            planned(any_database, settings, "pacs", {"address": address})
        assert "password" in refused.value.remedy
        assert "old-secret" not in str(refused.value)
    assert edit(any_database, settings, {"address": "http://pacs:8042/orthanc"}).address.endswith("/orthanc")
    after = edit(any_database, settings, {"address": "http://elsewhere", "username": "me", "password": "mine"})
    assert after.credentials == Credentials(username="me", password="mine")
    found = row(any_database)
    assert (found.cursor, found.sweep_wanted, found.connected) == ("", True, None), "its log is another's"
    own = {"token_url": "https://login", "client_id": "i", "client_secret": "s"}
    edit(any_database, settings, own)
    with pytest.raises(BadRequest, match="another host"):
        planned(any_database, settings, "pacs", {"token_url": "https://elsewhere"})


def test_credentials_that_cannot_be_read_any_more_are_given_again(
    any_database: Database, settings: Settings, known: Any
) -> None:
    known()
    other = replace(settings, secret_key="another secret key, long enough")
    with pytest.raises(BadRequest, match="another secret key") as refused:
        planned(any_database, other, "pacs", {"password": "p"})
    assert "cbmir archive edit pacs" in refused.value.remedy
    after = edit(any_database, other, {"username": "cbmir", "password": "again"})
    assert after.credentials == Credentials(username="cbmir", password="again")
    third = replace(settings, secret_key="a third secret key, long enough")
    assert edit(any_database, third, dict.fromkeys(vars(Credentials()), "")).credentials == Credentials()


@pytest.mark.parametrize(
    "changes", [{"kind": "ftp"}, {"retrieve": "carry"}, {"address": "ftp://pacs:8042", "password": "p"}]
)
def test_what_cannot_be_is_refused_and_changes_nothing(
    any_database: Database, settings: Settings, known: Any, changes: dict[str, Any]
) -> None:
    known()
    before = connection_of(row(any_database), settings)
    with pytest.raises(BadRequest):
        edit(any_database, settings, changes)
    assert connection_of(row(any_database), settings) == before


def test_only_an_archive_that_is_there_is_edited(any_database: Database, settings: Settings) -> None:
    with pytest.raises(NotFound):
        planned(any_database, settings, "pacs", {})


def caught_up(database: Database, settings: Settings) -> Swept:
    """What a sweep by the rules of today finds; what is pending is fetched then."""
    with followed(database, settings, "pacs") as archive, Isolation(1) as isolation:
        swept = sweep(archive)
        synchronise(archive, Silence(), isolation)
    return swept


def here(database: Database) -> set[str]:
    """The modalities of what is in the index."""
    with database.read() as session:
        return {modality or "" for modality in session.scalars(select(Instance.modality))}


def counts(database: Database, archive: Followed) -> dict[ObjectState, int]:
    with database.read() as session:
        return {state: number for state, number in ledger.counts(session, archive.id).items() if number}


@pytest.fixture
def mixed(pacs: Any, make_object: Any) -> list[str]:
    """Puts an MR of 2024 and a CT of 2025 into the archive; its ids of them."""
    ct = {"SOPClassUID": CTImageStorage, "Modality": "CT", "StudyDate": "20250203"}
    return [pacs.send(make_object(0)), pacs.send(make_object(1, study=1, **ct))]


RULES: list[dict[str, Any]] = [{"modalities": ("MR",)}, {"without_modalities": ("CT",)}, {"until": "20241231"}]


@pytest.mark.usefixtures("mixed")
@pytest.mark.parametrize("rules", RULES)
def test_what_is_wanted_now_comes_in_and_what_is_not_any_more_stays(
    database: Database, settings: Settings, archive: Followed, rules: dict[str, Any]
) -> None:
    edit(database, settings, rules)
    assert caught_up(database, settings).pending == 1
    assert here(database) == {"MR"}
    edit(database, settings, {name: Rules.__dataclass_fields__[name].default for name in rules})
    assert caught_up(database, settings).pending == 1
    assert here(database) == {"MR", "CT"}
    edit(database, settings, rules)
    swept = caught_up(database, settings)
    assert (swept.pending, swept.deleted, swept.dropped) == (0, 0, 0)
    assert here(database) == {"MR", "CT"}, "nobody said that it is to be deleted"
    with followed(database, settings, "pacs") as found:
        assert verify(found, Silence()).differences == []
    assert counts(database, archive) == {ObjectState.HELD: 2}


@pytest.mark.parametrize("rules", RULES)
def test_what_is_not_wanted_any_more_is_still_followed(
    database: Database, settings: Settings, archive: Followed, pacs: Any, mixed: list[str], rules: dict[str, Any]
) -> None:
    caught_up(database, settings)
    edit(database, settings, rules)
    caught_up(database, settings)
    pacs.delete(f"/instances/{mixed[1]}")
    assert caught_up(database, settings).deleted == 1
    assert here(database) == {"MR"}
    assert counts(database, archive) == {ObjectState.HELD: 1, ObjectState.DELETED: 1}


@pytest.mark.usefixtures("mixed")
@pytest.mark.parametrize("rules", RULES)
def test_what_is_not_wanted_any_more_is_deleted_when_asked(
    database: Database, settings: Settings, archive: Followed, rules: dict[str, Any]
) -> None:
    caught_up(database, settings)
    edit(database, settings, rules)
    caught_up(database, settings)
    edit(database, settings, {}, drop=True)  # also if it is asked for later
    swept = caught_up(database, settings)
    assert (swept.dropped, swept.deleted) == (1, 0)
    assert here(database) == {"MR"}
    assert row(database).drop_unmatched is False
    outside = "until" in rules
    assert counts(database, archive) == {ObjectState.HELD: 1} | ({} if outside else {ObjectState.SKIPPED: 1})
    with followed(database, settings, "pacs") as found:
        assert verify(found, Silence()).differences == []
    edit(database, settings, {name: Rules.__dataclass_fields__[name].default for name in rules})
    caught_up(database, settings)
    assert here(database) == {"MR", "CT"}, "it can come back"


@pytest.mark.usefixtures("mixed")
def test_what_was_not_fetched_yet_is_not_fetched_any_more(
    database: Database, settings: Settings, archive: Followed
) -> None:
    sweep(archive)
    assert counts(database, archive) == {ObjectState.PENDING: 2}
    edit(database, settings, {"modalities": ("MR",)})
    caught_up(database, settings)
    assert counts(database, archive) == {ObjectState.HELD: 1, ObjectState.SKIPPED: 1}


@pytest.mark.usefixtures("mixed")
def test_what_came_from_elsewhere_too_stays(database: Database, settings: Settings, archive: Followed) -> None:
    caught_up(database, settings)
    with database.write() as session:
        for instance in session.scalars(select(Instance)):
            instance.origin = "/a/folder/it"
    edit(database, settings, {"modalities": ("MR",)}, drop=True)
    assert caught_up(database, settings).dropped == 0
    assert here(database) == {"MR", "CT"}
    assert counts(database, archive) == {ObjectState.HELD: 1, ObjectState.SKIPPED: 1}


@pytest.mark.usefixtures("mixed")
def test_rules_that_leave_nothing_are_not_believed_at_once(
    database: Database, settings: Settings, archive: Followed, monkeypatch: pytest.MonkeyPatch
) -> None:
    caught_up(database, settings)
    monkeypatch.setattr(sweeping, "MASS", 2)
    edit(database, settings, {"since": "20990101"}, drop=True)
    with pytest.raises(MassDeletion):
        caught_up(database, settings)
    assert here(database) == {"MR", "CT"}
    with database.write() as session:
        archives.change(session, archive.id, allowed_deletions=2)
    assert caught_up(database, settings).dropped == 2


@pytest.mark.usefixtures("mixed")
def test_a_sweep_by_earlier_rules_deletes_nothing(
    database: Database, settings: Settings, archive: Followed
) -> None:
    caught_up(database, settings)
    edit(database, settings, {"modalities": ("MR",)}, drop=True)
    swept = sweep(archive)  # opened before
    assert swept.dropped == 0
    assert (row(database).sweep_wanted, row(database).drop_unmatched) == (True, True)
    assert caught_up(database, settings).dropped == 1


@pytest.mark.parametrize("connection", [ArchiveKind.ORTHANC], indirect=True)
def test_the_log_heeds_the_days_too(
    database: Database, settings: Settings, archive: Followed, pacs: Any, make_object: Any
) -> None:
    Follower(archive).look()
    edit(database, settings, {"until": "20241231"})
    with followed(database, settings, "pacs") as found:
        follower = Follower(found, count_at=float("inf"))
        follower.look()
        follower.sweep_at = float("inf")
        pacs.send(make_object(0))
        pacs.send(make_object(1, study=1, StudyDate="20250203"))
        follower.look()
    assert counts(database, archive) == {ObjectState.PENDING: 1, ObjectState.SKIPPED: 1}
