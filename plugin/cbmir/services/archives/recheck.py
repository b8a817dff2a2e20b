"""What no list tells of: studies are fetched again, one after the other, each within so many days."""

from __future__ import annotations

from datetime import timedelta

from cbmir.services.archives.registered import Followed
from cbmir.store import archive_studies, ledger
from cbmir.store.tables import now

IDLE_SECONDS = 60.0
"""How long to wait where no study's time has come, or anything else is to be fetched: that goes first."""


def recheck(followed: Followed) -> float:
    """Have the study that was not fetched for longest fetched again, if its turn has come: all objects are spread
    evenly over `recheck_days`.

    Objects whose bytes are what they were are not converted again.

    Returns:
        Seconds until the next study may be.
    """
    archive_id = followed.id
    with followed.database.read() as session:
        study = archive_studies.longest_unfetched(session, archive_id)
        if study is None or ledger.is_due(session, archive_id):
            return IDLE_SECONDS
        uids = [each.sop_instance_uid for each in ledger.of_study(session, archive_id, study.study_instance_uid)]
        turn = timedelta(followed.connection.recheck_days) * len(uids) / max(1, ledger.alive(session, archive_id))
    if study.fetched_at and study.fetched_at > now() - turn:
        return IDLE_SECONDS
    with followed.database.write() as session:
        ledger.fetch_again(session, archive_id, uids)
        archive_studies.fetched(session, archive_id, study.study_instance_uid)
    return turn.total_seconds()
