"""Which objects of an archive are fetched next."""

from __future__ import annotations

from cbmir.store import archives, ledger
from cbmir.store.session import Database
from cbmir.types import RemoteInstance


def test_the_rest_of_the_last_series_may_follow(any_database: Database) -> None:
    with any_database.write() as session:
        archives.add(session, name="pacs", kind="dicomweb", address="http://x", options={}, sealed_credentials=b"")
        archive_id = archives.get(session, "pacs").id
        listed = [RemoteInstance(f"1.{number}", f"2.{number // 4 % 2}", "3") for number in range(12)]
        ledger.take_in(session, archive_id, listed, lambda _: True)
    with any_database.write() as session:
        first = ledger.pending(session, archive_id, 2)
        assert [each.sop_instance_uid for each in first] == ["1.0", "1.1"]
        rest = ledger.pending_of_series(session, first[-1], 5)
        assert [each.sop_instance_uid for each in rest] == ["1.2", "1.3", "1.8", "1.9", "1.10"]
        ledger.put_off(session, rest[0].id, code="x", message="not now")
        ledger.wanted(session, {rest[1].id: 1})
        ledger.hold(session, [rest[1].id])
        left = [each.sop_instance_uid for each in ledger.pending_of_series(session, first[-1], 9)]
        assert left == ["1.8", "1.9", "1.10", "1.11"]
