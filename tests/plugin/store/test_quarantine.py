"""Quarantine and queries, on both databases."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cbmir.errors import NotFound, UnusableInput
from cbmir.store import jobs, quarantine, queries
from cbmir.store.session import Database
from cbmir.store.tables import Encoder, now
from cbmir.types import JobKind


def put(database: Database, origin: str, sha256: str, reason: str = "Cut short.") -> None:
    with database.write() as session:
        quarantine.put(
            session,
            file_name="a.dcm",
            origin=origin,
            sha256=sha256,
            code="broken-file",
            reason=reason,
            remedy="Send it again.",
        )


def origins(database: Database) -> list[str]:
    with database.read() as session:
        return sorted(row.origin for row in quarantine.listing(session))


def test_a_file_stands_there_once_with_its_latest_reason(any_database: Database) -> None:
    put(any_database, "/a.dcm", "1" * 64)
    put(any_database, "/a.dcm", "1" * 64, "No decoder\0.")
    put(any_database, "/a.dcm", "2" * 64)
    with any_database.read() as session:
        assert quarantine.count(session) == 2
        reasons = {row.sha256: row.reason for row in quarantine.listing(session, limit=None)}
        assert reasons == {"1" * 64: "No decoder.", "2" * 64: "Cut short."}
        assert len(quarantine.listing(session, limit=1)) == 1
        (last,) = quarantine.listing(session, offset=1)
        assert last.sha256 == "1" * 64


def test_files_are_counted_filtered_and_handed_out_by_reason(any_database: Database) -> None:
    for number in range(5):
        put(any_database, f"/{number}", f"{number}" * 64)
    with any_database.write() as session:
        quarantine.put(session, file_name="sr", origin="/sr", sha256="9" * 64, code="no-pixels", reason="A report.")
    with any_database.read() as session:
        assert quarantine.counts(session) == {"broken-file": 5, "no-pixels": 1}
        assert [row.origin for row in quarantine.listing(session, code="no-pixels")] == ["/sr"]
        ids = quarantine.ids(session)
        assert quarantine.ids(session, code="broken-file", among=[*ids[:2], ids[-1], 10**6]) == ids[:2]
        assert quarantine.ids(session, among=[]) == []
        assert [row.id for row in quarantine.by_id(session, [ids[3], ids[1], 10**6])] == [ids[1], ids[3]]
        pages = [quarantine.after(session, ids[0], code="broken-file", limit=3), quarantine.after(session, ids[3])]
        assert [[row.id for row in page] for page in pages] == [ids[1:4], ids[4:]]
        assert quarantine.uses(session, "r")
        assert not quarantine.uses(session, "%")
    with any_database.write() as session:
        began = now()
        quarantine.put(session, file_name="a", origin="/1", sha256="1" * 64, code="broken-file", reason="Again.")
        quarantine.forget(session, ids[:3], before=began)
    assert origins(any_database) == ["/1", "/3", "/4", "/sr"]


def test_every_reason_for_setting_aside_has_words() -> None:
    codes = {each.code for each in UnusableInput.__subclasses__()} - {"bad-manifest", "bad-export"}
    assert codes <= set(quarantine.MEANINGS)
    assert quarantine.meaning("of-tomorrow") == "of-tomorrow"


def test_what_was_ingested_later_leaves(any_database: Database) -> None:
    for origin, sha256 in (("/a", "1" * 64), ("/b", "1" * 64), ("/a", "2" * 64), ("", "3" * 64), ("", "4" * 64)):
        put(any_database, origin, sha256)
    with any_database.write() as session:
        assert quarantine.release(session, origins=["/elsewhere"], hashes=["9" * 64]) == 0
        assert quarantine.release(session, origins=["/c"], hashes=["1" * 64]) == 2
    assert origins(any_database) == ["", "", "/a"]
    with any_database.write() as session:
        assert quarantine.release(session, origins=["/a"], hashes=["9" * 64]) == 1
        assert quarantine.release(session, origins=[""], hashes=["3" * 64]) == 1
    assert origins(any_database) == [""]


def test_a_repeated_query_replaces_its_answer(any_database: Database, new_encoder: Callable[..., Encoder]) -> None:
    with any_database.write() as session:
        encoder = new_encoder(session)
        ids = [jobs.create(session, JobKind.RETRIEVE, {}).id for _ in range(2)]
    for job_id, rank in ((ids[0], 1), (ids[1], 2), (ids[0], 3)):
        with any_database.write() as session:
            queries.save(
                session,
                job_id=job_id,
                encoder_id=encoder.id,
                picture="0" * 64,
                frame_id=None,
                k=5,
                where={"modality": "MR"},
                hits=[{"rank": rank}],
            )
    with any_database.read() as session:
        assert queries.get(session, ids[0]).hits == [{"rank": 3}]
        assert {row.job_id for row in queries.recent(session)} == set(ids)
        assert len(queries.recent(session, 1)) == 1
        with pytest.raises(NotFound):
            queries.get(session, "none")
