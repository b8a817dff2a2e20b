"""`cbmir jobs`, on jobs that no worker did."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from cbmir.settings import Settings
from cbmir.store import jobs
from cbmir.store.session import Database
from cbmir.types import JobKind


def test_an_extraction_that_failed_at_some_pictures_says_so(cbmir: Callable[..., Any], tmp_path: Path) -> None:
    assert cbmir("db", "upgrade").status == 0
    database = Database(Settings(data=tmp_path / "data").resolved_database_url)
    result = {
        "extracted": 5,
        "already": 0,
        "failed": 2,
        "reasons": {"21": "Not finite.", "22": "Gone."},
    }
    for told in (result, {**result, "failed": 0, "reasons": {}}):
        with database.write() as session:
            job = jobs.create(session, JobKind.EXTRACT, {"encoder": "net-1"})
            jobs.claim(session, job.id)
            jobs.succeed(session, job.id, told)
    database.dispose()
    whole, part = cbmir("jobs").out.splitlines()
    assert part.endswith("2 failed, image 21: Not finite.")
    assert "failed" not in whole
    assert [row["failed"] for row in cbmir("jobs", "--json").json] == [0, 2]
