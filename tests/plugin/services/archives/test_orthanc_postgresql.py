"""An Orthanc that keeps its index in PostgreSQL, as large ones do: its log and its counts are another program's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import make_url, select

from cbmir.progress import Silence
from cbmir.services.archives.registered import Followed
from cbmir.services.archives.verify import verify
from cbmir.store.session import Database
from cbmir.store.tables import Instance

pytestmark = pytest.mark.postgres

PLUGINS = ("OrthancPostgreSQLIndex", "OrthancPostgreSQLStorage", "OrthancDicomWeb")


@pytest.fixture
def pacs(postgres_url: str, start_orthanc: Callable[..., Any]) -> Any:
    """A real Orthanc whose index and files are in a database of its own; skipped where the plugin is missing."""
    where = make_url(postgres_url)
    about = {"host": where.query.get("host", where.host), "user": where.username, "dbname": where.database}
    if where.password:
        about["password"] = where.password
    if where.port:
        about["port"] = str(where.port)
    uri = " ".join(f"{name}={value}" for name, value in about.items() if value)
    return start_orthanc(
        *PLUGINS, PostgreSQL={"EnableIndex": True, "EnableStorage": True, "ConnectionUri": uri, "Lock": False}
    )


def test_it_is_followed_deletions_too(
    database: Database, archive: Followed, pacs: Any, make_object: Any, uid_of: Any, follow: Callable[[], Any]
) -> None:
    def stored() -> set[str | None]:
        with database.read() as session:
            return set(session.scalars(select(Instance.sop_instance_uid)))

    assert "PostgreSQL" in str(pacs.get("/system")["DatabaseBackendPlugin"])
    ids = [pacs.send(make_object(seed, patient=seed // 2)) for seed in range(4)]
    assert follow().ingested == 4
    ids.append(pacs.send(make_object(4, patient=1)))
    pacs.send(make_object(0, SeriesNumber="9"))  # replaced under its UID
    follow()
    assert stored() == {uid_of(seed) for seed in range(5)}
    pacs.delete(f"/instances/{ids[4]}")
    pacs.delete(f"/studies/{pacs.get(f'/instances/{ids[0]}/study')['ID']}")
    follow()
    assert stored() == {uid_of(2), uid_of(3)}
    assert verify(archive, Silence()).differences == []
