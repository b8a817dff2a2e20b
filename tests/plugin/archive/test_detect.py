"""Which kind an archive is, from its address alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cbmir.archive.connection import ArchiveKind, Connection, Credentials
from cbmir.archive.detect import detect
from cbmir.errors import ArchiveRefused, ArchiveUnavailable, BadRequest

Connect = Callable[..., Connection]


def test_orthanc_and_its_dicomweb_plugin_are_told_apart(
    start_orthanc: Callable[..., Any], connection: Connect
) -> None:
    orthanc = start_orthanc("OrthancDicomWeb")
    credentials = Credentials(*orthanc.auth)
    assert detect(connection(orthanc.url, credentials=credentials)) is ArchiveKind.ORTHANC
    assert detect(connection(f"{orthanc.url}/", credentials=credentials)) is ArchiveKind.ORTHANC
    assert detect(connection(f"{orthanc.url}/dicom-web", credentials=credentials)) is ArchiveKind.DICOMWEB
    with pytest.raises(ArchiveRefused, match="credentials"):
        detect(connection(orthanc.url, credentials=Credentials("alice", "wrong")))


@pytest.mark.parametrize("answer", [(404, b"", {}), (200, b"<html>", {}), (200, {}, {}), (200, [], {})])
def test_what_is_not_orthanc_is_dicomweb(serve: Any, connection: Connect, answer: Any) -> None:
    assert detect(connection(serve(lambda _: answer).url)) is ArchiveKind.DICOMWEB


def test_a_dicomweb_server_need_not_let_us_see_everything(serve: Any, connection: Connect) -> None:
    def script(asked: Any) -> Any:
        return (403, b"", {}) if asked.path == "/system" else (200, [], {})

    assert detect(connection(serve(script).url)) is ArchiveKind.DICOMWEB


@pytest.mark.parametrize("address", ["PACS@host:104", "MY PACS@10.0.0.1:11112", "A@localhost:65535"])
def test_an_ae_title_is_dimse_and_nobody_is_asked(connection: Connect, address: str) -> None:
    assert detect(connection(address)) is ArchiveKind.DIMSE


@pytest.mark.parametrize(
    "address",
    [
        "",
        "host",
        "host:104",
        "PACS@host",
        "@host:1",
        "A@host:0",
        "A@host:65536",
        "SEVENTEEN-LETTERS@h:1",
        "ftp://h/",
        "A@b c:1",
    ],
)
def test_an_address_that_is_neither(connection: Connect, address: str) -> None:
    with pytest.raises(BadRequest, match="archive pacs"):
        detect(connection(address))


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("A@host:65536", "names no port"),
        ("A@host:0", "names no port"),
        ("SEVENTEEN-LETTERS@h:1", "is no AE title"),
        ("PACS@host", "Write AE@HOST:PORT"),
    ],
)
def test_what_is_wrong_with_a_dicom_nodes_address_is_said(connection: Connect, address: str, said: str) -> None:
    with pytest.raises(BadRequest) as wrong:
        detect(connection(address))
    assert said in wrong.value.sentence


def test_nobody_there(connection: Connect) -> None:
    with pytest.raises(ArchiveUnavailable, match="cannot be reached"):
        detect(connection("http://127.0.0.1:1"))
