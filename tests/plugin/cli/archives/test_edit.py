"""`cbmir archive edit`, as an administrator types it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cbmir.archive.connection import Connection
from cbmir.services.archives.registered import connection_of
from cbmir.settings import Settings
from cbmir.store import archives
from cbmir.store.session import Database

Run = Callable[..., Any]
DOWN = "http://127.0.0.1:9"


@pytest.fixture
def described(settings: Settings) -> Callable[[], Connection]:
    """How the archive `pacs` is reached."""

    def read() -> Connection:
        database = Database(settings.resolved_database_url)
        with database.read() as session:
            row = archives.get(session, "pacs")
        database.dispose()
        return connection_of(row, settings)

    return read


@pytest.fixture
def secret(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        file = tmp_path / "secret"
        file.write_text(f"{text}\n")
        return file

    return write


def test_one_thing_after_the_other(cbmir: Run, described: Any, secret: Any) -> None:
    add = ("archive", "add", "pacs", DOWN, "--kind", "orthanc", "--untested", "--timeout", "1")
    assert cbmir(*add, "--username", "me", "--password-file", secret("old"), "--modality", "ct").status == 0
    edited = cbmir("archive", "edit", "pacs", "--viewer", "https://ohif/{study}", "--rate", "5", "--recheck", "30")
    assert edited.out == "pacs is edited: requests_per_second, recheck_days, viewer.\n"
    edited = cbmir("archive", "edit", "pacs", "--modality", "mr", "--modality", "us", "--since", "2024-01-31")
    assert "What is wanted now comes in" in edited.out
    refused = cbmir("archive", "edit", "pacs", "--password-file", secret("new"))
    assert refused.status == 1
    assert "pacs is not edited." in refused.err
    assert described().credentials.password == "old"
    edited = cbmir("archive", "edit", "pacs", "--password-file", secret("new"), "--untested")
    assert edited.out == "pacs is edited: password.\n"
    found = described()
    assert (found.rules.modalities, found.rules.since) == (("MR", "US"), "20240131")
    assert (found.credentials.username, found.credentials.password) == ("me", "new")
    assert (found.viewer, found.requests_per_second, found.timeout_seconds) == ("https://ohif/{study}", 5.0, 1.0)
    assert found.recheck_days == 30

    cleared = cbmir("archive", "edit", "pacs", "--clear", "modality", "--clear", "since", "--drop-unmatched")
    assert "What is not wanted any more is deleted here" in cleared.out
    assert cbmir("archive", "edit", "pacs", "--clear", "credentials", "--untested").status == 0
    assert (described().rules.modalities, described().credentials.username) == ((), "")
    assert cbmir("archive", "edit", "pacs").out == "Nothing of pacs is changed.\n"
    assert cbmir("archive", "edit", "none").status == 1


def test_a_token_takes_the_place_of_a_password_and_moves_with_it(cbmir: Run, described: Any, secret: Any) -> None:
    add = ("archive", "add", "pacs", DOWN, "--kind", "dicomweb", "--untested", "--timeout", "1")
    cbmir(*add, "--username", "me", "--password-file", secret("old"))
    assert cbmir("archive", "edit", "pacs", "--token-file", secret("t0k"), "--untested").out.endswith("token.\n")
    assert (described().credentials.token, described().credentials.password) == ("t0k", "")
    moved = cbmir("archive", "edit", "pacs", "--address", "http://127.0.0.1:10", "--untested")
    assert moved.status == 1
    assert "another host" in moved.err
    assert "t0k" not in moved.err


def test_it_is_tested_where_it_would_be_reached_otherwise(
    cbmir: Run, described: Any, secret: Any, start_orthanc: Any
) -> None:
    pacs = start_orthanc()
    own = ("--username", pacs.username, "--password-file", secret(pacs.password))
    assert cbmir("archive", "add", "pacs", DOWN, "--kind", "dicomweb", "--untested", *own).status == 0
    edited = cbmir("archive", "edit", "pacs", "--address", pacs.url, *own)
    assert edited.status == 0, edited.err
    assert (described().address, described().kind) == (pacs.url, "orthanc"), "its kind is found out anew"
    wrong = cbmir("archive", "edit", "pacs", "--password-file", secret("guessed"))
    assert (wrong.status, "guessed" in wrong.out + wrong.err) == (1, False)
    assert described().credentials.password == pacs.password
