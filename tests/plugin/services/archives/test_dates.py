"""Study dates of what an archive holds: from headers, and of what was fetched earlier from the archive's list."""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import select, update

from cbmir.services.archives.registered import Followed
from cbmir.services.archives.sweep import sweep
from cbmir.store.session import Database
from cbmir.store.tables import Instance


def days(database: Database) -> list[date | None]:
    with database.read() as session:
        return list(session.scalars(select(Instance.study_date).order_by(Instance.id)))


def test_a_sweep_tells_the_dates_of_what_was_fetched_before_they_were_kept(
    database: Database, archive: Followed, pacs: Any, make_object: Any, follow: Any
) -> None:
    pacs.send(make_object(0))
    pacs.send(make_object(1, study=1, StudyDate="20250203"))
    pacs.send(make_object(2, study=2, StudyDate=""))
    follow()
    told = days(database)
    assert sorted(filter(None, told)) == [date(2024, 1, 2), date(2025, 2, 3)]
    with database.write() as session:
        session.execute(update(Instance).values(study_date=None))
    swept = sweep(archive)
    assert (swept.pending, swept.deleted) == (0, 0)
    assert days(database) == told
