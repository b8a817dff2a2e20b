"""Study dates of what an archive holds: from headers, and of what was fetched earlier from the archive's list."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from sqlalchemy import select, update

from cbmir.services.archives.registered import Followed
from cbmir.services.archives.sweep import sweep
from cbmir.store import archive_studies
from cbmir.store.session import Database
from cbmir.store.tables import Instance


def days(database: Database) -> list[date | None]:
    with database.read() as session:
        return list(session.scalars(select(Instance.study_date).order_by(Instance.id)))


@pytest.mark.parametrize(
    ("before", "after", "another"),
    [
        ("p-1 20240102 aa", "p-1 20240102 bb", False),
        ("p-1 20240102 aa", "p-1 20240103 aa", True),
        ("p-1 20240102 in part", "p-1 20240103 aa", True),
        ("p-1 20240102 aa", "p-2 20240102 aa", True),
        ("p-1 - aa", "p-1 20240103 aa", False),
        (f"p-1 {'a' * 40}", "p-1 20240103 aa", False),  # of an earlier version
        ("p-1 in part", "p-1 20240103 aa", False),
    ],
)
def test_a_study_is_of_another_day_where_both_days_are_known(before: str, after: str, another: bool) -> None:
    assert archive_studies.is_of_another(before, after) is another
    assert len(archive_studies.in_part(before)) <= 64


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


def test_a_date_that_is_corrected_in_the_archive_is_corrected_here(
    database: Database, pacs: Any, make_object: Any, follow: Any
) -> None:
    for seed in range(2):
        pacs.send(make_object(seed))
    follow()
    for study in pacs.get("/studies"):
        pacs.delete(f"/studies/{study}")
    for seed in range(2):
        pacs.send(make_object(seed, StudyDate="20230504"))
    assert follow().ingested == 2
    assert days(database) == [date(2023, 5, 4)] * 2
    assert follow().files == 0
