"""`cbmir archive`, as an administrator types it: right, and wrong."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.fixture
def pacs(start_orthanc: Any) -> Any:
    return start_orthanc()


@pytest.fixture
def password(tmp_path: Path, pacs: Any) -> Path:
    """A file that holds the Orthanc's password, with the line end that editors leave."""
    file = tmp_path / "password"
    file.write_text(f"{pacs.password}\n")
    return file


def test_an_archive_from_the_first_word_to_the_last(
    cbmir: Run, pacs: Any, password: Path, make_dicom: Callable[..., bytes]
) -> None:
    pacs.send(make_dicom(1))
    first = pacs.send(make_dicom(2))
    added = cbmir("archive", "add", "pacs", pacs.url, "--username", pacs.username, "--password-file", password)
    assert added.status == 0, added.err
    assert "pacs (orthanc) is followed" in added.out
    assert pacs.password not in added.out + added.err

    assert cbmir("archive", "test", "pacs").status == 0
    assert all(each["fine"] for each in cbmir("archive", "test", "pacs", "--json").json)
    verified = cbmir("archive", "verify", "pacs")
    assert verified.status == 1
    assert "unknown here: " in verified.out

    synced = cbmir("archive", "sync", "pacs", "--json").json
    counts = {"ingested": 2, "duplicates": 0, "quarantined": 0, "failed": 0, "deleted": 0}
    assert synced == {"handed_to_workers": False, **counts}
    assert cbmir("archive", "verify", "pacs", "--json").json["equal"] is True
    again = cbmir("archive", "sync", "pacs", "--again").out
    assert again.startswith("0 fetched, 2 known already")

    pacs.delete(f"/instances/{first}")
    assert cbmir("archive", "sync", "pacs").out.endswith("0 not to be had, 1 deleted.\n")
    (status,) = cbmir("archive", "status", "--json").json
    assert (status["held"], status["deleted"], status["behind"], status["connected"]) == (1, 1, 0, True)
    assert cbmir("archive", "verify", "pacs").out.startswith("1 objects in the archive: 1 held here")

    assert cbmir("archive", "pause", "pacs").status == 0
    assert "paused" in cbmir("archive", "status", "pacs").out
    assert cbmir("archive", "resume", "pacs").status == 0
    assert cbmir("archive", "remove", "pacs").status == 2
    assert "1 images were deleted" in cbmir("archive", "remove", "pacs", "--delete-images").out
    assert "No archive is followed" in cbmir("archive", "status").out


def test_an_archive_that_is_down_is_added_only_untested_and_then_in_trouble(cbmir: Run, pacs: Any) -> None:
    pacs.process.kill()
    pacs.process.wait()
    refused = cbmir("archive", "add", "down", pacs.url, "--timeout", "1")
    assert refused.status == 1
    assert refused.err.startswith("cbmir: down is not added. The archive down cannot be reached")
    assert refused.err.endswith("Or say its --kind, and --untested.\n")
    assert "by itself" not in refused.err
    added = cbmir("archive", "add", "down", pacs.url, "--kind", "orthanc", "--timeout", "1", "--untested")
    assert added.status == 0, added.err
    failed = cbmir("archive", "sync", "down")
    assert failed.status == 1
    assert failed.err.startswith("cbmir: ")
    status = cbmir("archive", "status")
    assert status.status == 1
    assert "by themselves" not in status.out, "nobody asks it: no worker runs"
    assert "NOT CONNECTED" in status.out


def test_status_says_what_was_received_and_is_recorded_by_nobody(cbmir: Run, tmp_path: Path) -> None:
    received = tmp_path / "data" / "received"
    received.mkdir(parents=True)
    (received / "1.2.3.dcm").write_bytes(b"an object")
    fresh = cbmir("archive", "status")
    assert (fresh.status, fresh.out.startswith("1 received objects wait to be recorded, the first since ")) == (
        0,
        True,
    )
    os.utime(received / "1.2.3.dcm", (0, 0))
    waits = cbmir("archive", "status")
    assert waits.status == 1
    assert "since 1970-01-01 00:00 UTC, and no worker records them. Start `cbmir up`" in waits.out
    listed = cbmir("archive", "status", "--json")
    assert (listed.status, listed.json) == (1, [])
    assert "no worker records them" in listed.err


def test_verify_says_where_it_compared_by_uid_alone(
    cbmir: Run, start_orthanc: Any, tmp_path: Path, make_dicom: Callable[..., bytes]
) -> None:
    pacs = start_orthanc("OrthancDicomWeb")
    (tmp_path / "password").write_text(pacs.password)
    who = ("--username", pacs.username, "--password-file", tmp_path / "password")
    for name, address in (("web", f"{pacs.url}/dicom-web"), ("orthanc", pacs.url)):
        assert cbmir("archive", "add", name, address, *who).status == 0
    for seed in range(2):
        pacs.send(make_dicom(seed))
    for name, alone in (("web", 2), ("orthanc", 0)):
        assert cbmir("archive", "sync", name).status == 0
        assert cbmir("archive", "verify", name, "--json").json["by_uid_alone"] == alone
        said = (
            "2 were compared by UID alone, since the archive gives no digest"
            in cbmir("archive", "verify", name).out
        )
        assert said is bool(alone)


def test_a_wrong_password_is_said_and_not_repeated(cbmir: Run, pacs: Any, tmp_path: Path) -> None:
    (tmp_path / "wrong").write_text("guessed-wrongly")
    refused = cbmir(
        "archive", "add", "pacs", pacs.url, "--username", "alice", "--password-file", tmp_path / "wrong"
    )
    assert refused.status == 1
    assert "guessed-wrongly" not in refused.out + refused.err
    assert cbmir("archive", "status", "--json").json == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("add", "x", "not an address"), "address"),
        (("add", "../x", "CBMIR@127.0.0.1:1", "--untested"), "no name for an archive"),
        (("add", "x", "http://127.0.0.1:1", "--viewer", "ohif"), "The viewer ohif is no URL of the web."),
        (
            ("add", "x", "http://127.0.0.1:1", "--kind", "dicomweb", "--tls"),
            "which these mean nothing: encryption of DIMSE.",
        ),
        (("sync", "unknown"), "no archive unknown"),
        (("test", "unknown"), "no archive unknown"),
        (("verify", "unknown"), "no archive unknown"),
        (("pause", "unknown"), "no archive unknown"),
        (("remove", "unknown", "--keep-images"), "no archive unknown"),
        (("status", "unknown"), "no archive unknown"),
    ],
)
def test_wrong_calls_end_with_one_sentence(cbmir: Run, words: tuple[str, ...], said: str) -> None:
    result = cbmir("archive", *words)
    assert result.status == 1
    assert said in result.err
    assert not result.out
    assert len(result.err.strip().splitlines()) == 1
