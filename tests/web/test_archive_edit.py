"""Archives that are followed are described otherwise: by the page and by REST."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from cbmir.archive.connection import ArchiveKind, Connection, Credentials, Rules
from cbmir.services.archives.registered import add, connection_of
from cbmir.settings import Settings
from cbmir.store import archives
from cbmir.store.session import Database
from cbmir.store.tables import now

API = "/api/v1/archives/pacs"
Token = Callable[..., str]
DOWN = Connection(
    "pacs",
    ArchiveKind.ORTHANC,
    "http://127.0.0.1:9",
    Credentials(username="me", password="old-secret"),
    Rules(modalities=("CT", "MR"), since="20240131"),
    parallel=2,
    timeout_seconds=1.0,
)


@pytest.fixture
def described(database: Database, settings: Settings) -> Callable[[], Connection]:
    """How the archive is reached, which nobody has asked yet."""
    add(database, settings, DOWN)

    def read() -> Connection:
        with database.read() as session:
            return connection_of(archives.get(session, "pacs"), settings)

    return read


def drops(database: Database) -> bool:
    with database.read() as session:
        return archives.get(session, "pacs").drop_unmatched


def test_rest_changes_what_it_names(client: FlaskClient, database: Database, described: Any) -> None:
    answer = client.patch(API, json={"modalities": ["us"], "viewer": "https://ohif/?s={study}", "since": None})
    assert (answer.status_code, answer.json["name"]) == (200, "pacs")
    found = described()
    assert found.rules == Rules(modalities=("US",))
    assert (found.viewer, found.parallel, found.credentials) == ("https://ohif/?s={study}", 2, DOWN.credentials)
    assert not drops(database)
    assert client.patch(API, json={"modalities": [], "parallel": None, "drop_unmatched": True}).status_code == 200
    assert (described().rules, described().parallel, drops(database)) == (Rules(), 4, True)


@pytest.mark.usefixtures("described")
def test_whole_numbers_are_shown_as_such(client: FlaskClient) -> None:
    page = client.get("/archives/pacs/edit").text
    assert 'name="timeout_seconds" type="number" value="1"' in page
    assert 'name="requests_per_second" type="number" value="0"' in page


def test_rest_tests_it_where_it_is_reached_otherwise(client: FlaskClient, described: Any) -> None:
    refused = client.patch(API, json={"password": "new-secret"})
    assert refused.status_code == 422
    assert "pacs is not edited." in refused.text
    assert "secret" not in refused.text
    assert described() == DOWN
    assert client.patch(API, json={"password": "new-secret", "untested": True}).status_code == 200
    assert described().credentials.password == "new-secret"
    assert client.patch(API, json={"password": "", "username": "other", "untested": True}).status_code == 200
    assert described().credentials == Credentials(username="other", password="new-secret")
    assert client.patch(API, json={"username": None, "untested": True}).status_code == 200
    assert described().credentials == Credentials()


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"name": "other"}, "name"),
    ({"address": "http://alice:secret@pacs"}, "do not belong in the address"),
    ({"address": "http://elsewhere", "untested": True}, "another host"),
    ({"kind": "ftp"}, "kind"),
    ({"viewer": "javascript:alert(1)"}, "Not a URL of the web"),
    ({"since": "31.1.2020"}, "Not a date"),
    ({"parallel": 0}, "parallel"),
    ({"authority": "/etc/passwd"}, "authority"),
    ({"drop_unmatched": "perhaps"}, "drop_unmatched"),
]


def test_what_cannot_be_is_refused(client: FlaskClient, described: Any) -> None:
    for fields, says in WRONG:
        response = client.patch(API, json=fields)
        assert (response.status_code, says in response.text) == (422, True), response.text
        assert "secret" not in response.text
    assert described() == DOWN
    assert client.patch("/api/v1/archives/none", json={"parallel": 3}).status_code == 404


def form(page: str, token: Token) -> dict[str, str]:
    """What a browser sends of the form as it is shown."""
    return {
        "csrf_token": token(page), "address": "http://127.0.0.1:9", "username": "me", "password": "",
        "parallel": "2", "requests_per_second": "0.0", "timeout_seconds": "1.0", "modalities": "CT, MR",
        "without_modalities": "", "body_parts": "", "since": "2024-01-31", "until": "", "viewer": "",
    }  # fmt: skip


def test_the_form_shows_what_is_and_changes_what_is_typed(
    client: FlaskClient, token: Token, database: Database, described: Any
) -> None:
    page = client.get("/archives/pacs/edit").text
    for shown in ('value="http://127.0.0.1:9"', 'value="me"', 'value="CT, MR"', 'value="2024-01-31"', 'value="2"'):
        assert shown in page
    assert "old-secret" not in page
    assert 'href="/archives/pacs/edit"' in client.get("/archives").text
    sent = form("/archives/pacs/edit", token)
    assert client.post("/archives/pacs/edit", data=sent).location == "/archives"
    assert described() == DOWN, "a form that is sent as it is shown changes nothing"
    typed = sent | {"modalities": "", "body_parts": "head, knee", "since": "", "drop_unmatched": "true"}
    assert client.post("/archives/pacs/edit", data=typed).status_code == 303
    assert (described().rules, drops(database)) == (Rules(body_parts=("HEAD", "KNEE")), True)
    assert described().credentials == DOWN.credentials


def test_how_often_it_is_fetched_again_is_asked_where_it_gives_no_digests(
    client: FlaskClient, token: Token, described: Any
) -> None:
    assert 'name="recheck_days"' not in client.get("/archives/pacs/edit").text
    assert client.patch(API, json={"kind": "dicomweb", "recheck_days": 7, "untested": True}).status_code == 200
    page = client.get("/archives/pacs/edit").text
    assert 'name="recheck_days" type="number" value="7"' in page
    sent = form("/archives/pacs/edit", token) | {"recheck_days": "30"}
    assert client.post("/archives/pacs/edit", data=sent).status_code == 303
    assert described().recheck_days == 30
    assert client.patch(API, json={"recheck_days": -1}).status_code == 422
    assert client.patch(API, json={"recheck_days": None}).status_code == 200
    assert described().recheck_days == 0


def test_the_form_says_what_is_wrong_and_keeps_what_was_typed(
    client: FlaskClient, token: Token, described: Any
) -> None:
    typed = form("/archives/pacs/edit", token) | {"password": "new-secret", "body_parts": "knee"}
    page = client.post("/archives/pacs/edit", data=typed)
    assert page.status_code == 422
    assert "pacs is not edited." in page.text
    assert 'value="knee"' in page.text
    assert "new-secret" not in page.text
    assert "old-secret" not in page.text
    assert described() == DOWN
    assert client.post("/archives/pacs/edit", data={**typed, "csrf_token": ""}).status_code == 400
    assert client.get("/archives/none/edit").status_code == 404
    assert client.post("/archives/none/edit", data=typed).status_code == 404


def test_who_edits_what_another_saved_meanwhile_is_told_and_decides(
    client: FlaskClient, token: Token, described: Any
) -> None:
    def shown(page: str) -> str:
        (found,) = re.findall(r'name="shown" value="(.*?)"', page)
        return html.unescape(found)

    mine = form("/archives/pacs/edit", token) | {"shown": shown(client.get("/archives/pacs/edit").text)}
    theirs = mine | {"modalities": "US", "timeout_seconds": "1"}
    assert client.post("/archives/pacs/edit", data=theirs).status_code == 303
    page = client.post("/archives/pacs/edit", data=mine | {"body_parts": "knee"})
    assert page.status_code == 422
    assert "There it says now: Only these modalities: US." in page.text
    assert 'value="knee"' in page.text
    assert described().rules.modalities == ("US",)
    assert client.post("/archives/pacs/edit", data=mine | {"shown": "[]"}).status_code == 422
    again = mine | {"body_parts": "knee", "shown": shown(page.text)}
    assert client.post("/archives/pacs/edit", data=again).status_code == 303
    assert described().rules.body_parts == ("KNEE",)
    assert described().rules.modalities == DOWN.rules.modalities


def test_the_form_names_its_own_words(client: FlaskClient, token: Token, described: Any) -> None:
    typed = form("/archives/pacs/edit", token) | {"parallel": "99", "since": "soon"}
    page = client.post("/archives/pacs/edit", data=typed)
    assert page.status_code == 422
    assert "Requests at once: Must be" in page.text
    assert "First study date: Not a date" in page.text
    assert described() == DOWN
    said = client.patch(API, json={"parallel": 99}).json["error"]["reason"]
    assert said.startswith("parallel: Must be"), "programs know the field by its name"


def test_a_token_is_neither_shown_nor_lost_by_the_form(client: FlaskClient, token: Token, described: Any) -> None:
    assert client.patch(API, json={"token": "t0ken", "untested": True}).status_code == 200
    page = client.get("/archives/pacs/edit").text
    assert 'name="way" value="token" checked' in page
    assert "t0ken" not in page
    sent = form("/archives/pacs/edit", token) | {"way": "token", "token": "", "client_id": "left over"}
    assert client.post("/archives/pacs/edit", data=sent).status_code == 303
    assert described().credentials == Credentials(token="t0ken")
    other = sent | {"token": "t0ken-2", "untested": "true"}
    assert client.post("/archives/pacs/edit", data=other).status_code == 303
    assert described().credentials == Credentials(token="t0ken-2")


def test_a_dimse_archives_encryption_is_switched_off_again(
    client: FlaskClient, token: Token, database: Database, settings: Settings
) -> None:
    add(database, settings, Connection("pacs", ArchiveKind.DIMSE, "PACS@127.0.0.1:9", tls=True))
    page = client.get("/archives/pacs/edit").text
    assert 'name="tls" value="true" checked' in page
    sent = {"csrf_token": token("/archives/pacs/edit"), "address": "PACS@127.0.0.1:9", "untested": "true"}
    client.post("/archives/pacs/edit", data={**sent, "tls": ["true", "false"]})
    with database.read() as session:
        assert archives.get(session, "pacs").options["tls"] is True
    client.post("/archives/pacs/edit", data={**sent, "tls": "false"})
    with database.read() as session:
        assert archives.get(session, "pacs").options["tls"] is False


@pytest.mark.usefixtures("described")
@pytest.mark.parametrize(
    ("left", "says"),
    [
        ({"connected": True}, "up to date</span>"),
        ({"connected": False}, "up to date when it last answered"),
        ({"connected": True, "paused": True}, "up to date when it last answered"),
    ],
)
def test_an_archive_is_called_up_to_date_only_while_it_answers(
    client: FlaskClient, database: Database, left: dict[str, bool], says: str
) -> None:
    with database.write() as session:
        archives.change(session, archives.get(session, "pacs").id, swept_at=now(), **left)
    assert says in client.get("/archives").text
