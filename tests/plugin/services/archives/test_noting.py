"""What goes wrong before an archive is asked at all is told by its status, too."""

from __future__ import annotations

from pathlib import Path

import certifi
import pytest

from cbmir.archive.connection import ArchiveKind, Connection
from cbmir.errors import BadRequest
from cbmir.progress import Silence
from cbmir.services.archives.catch_up import sync
from cbmir.services.archives.registered import add
from cbmir.services.archives.status import of
from cbmir.settings import Settings
from cbmir.store.session import Database


def test_a_lost_authority_is_said(database: Database, settings: Settings, tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.write_bytes(Path(certifi.where()).read_bytes())
    address = "https://127.0.0.1:1/dicom-web"
    add(database, settings, Connection("pacs", ArchiveKind.DICOMWEB, address, authority=str(authority)))
    authority.unlink()
    with pytest.raises(BadRequest, match=r"ca\.pem"):
        sync(database, settings, "pacs", Silence())
    with database.read() as session:
        status = of(session, "pacs")
    assert (status.connected, status.error_code) == (False, "bad-request")
    assert status.error_message
    assert "ca.pem" in status.error_message
