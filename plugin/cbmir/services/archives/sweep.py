"""A sweep: what an archive lists is compared with the ledger, studies first, then objects where those differ."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from cbmir.errors import MassDeletion
from cbmir.services.archives.forget import forget
from cbmir.services.archives.registered import Followed
from cbmir.services.identity import pseudonym
from cbmir.store import archive_studies, archives, ledger, undated
from cbmir.store.tables import ArchiveObject, ArchiveStudy, now
from cbmir.store.writing import in_pieces
from cbmir.types import RemoteStudy

RELISTED = 20
"""Studies whose objects are compared in every sweep though nothing tells of a change: those of longest ago."""

RELISTED_AFTER = timedelta(hours=1)
"""A study is not compared again without a reason before this time is over."""

IN_PART = "in part"
"""Stands for the stamp of a study whose list of objects was shorter than the archive says: it is asked again."""

MASS = 1000
"""An archive that lists nothing at all, and listed so many objects before, is not believed at once."""


@dataclass
class Swept:
    """What a sweep found: studies that are listed, those looked into, objects to fetch, images deleted."""

    studies: int = 0
    compared: int = 0
    pending: int = 0
    deleted: int = 0
    gone: list[ArchiveObject] = field(default_factory=list, repr=False)


def sweep(followed: Followed) -> Swept:
    """Compare a whole archive with the ledger: note what is new or changed, delete what is gone.

    A study is looked into if it is new, or its number of objects, its stamp or its patient are others than before,
    or it is no longer listed: before anything of it is deleted the archive is asked for its objects once more.

    Raises:
        cbmir.errors.ArchiveUnavailable, cbmir.errors.ArchiveRefused, cbmir.errors.ArchiveGarbled: if the list
            cannot be had as a whole; then nothing is deleted.
        cbmir.errors.MassDeletion: if the archive seems to have lost everything; then nothing is deleted.
    """
    began = now()
    with followed.database.write() as session:  # who asks for a sweep from now on wants another one
        archives.change(session, followed.id, sweep_wanted=False)
    try:
        swept = _swept(followed, began)
    except BaseException:
        with followed.database.write() as session:
            archives.change(session, followed.id, sweep_wanted=True)
        raise
    fresh = {"changed_at": began} if swept.pending or swept.deleted else {}
    with followed.database.write() as session:
        archives.change(session, followed.id, swept_at=began, allowed_deletions=0, **fresh)
    return swept


def _swept(followed: Followed, began: datetime) -> Swept:
    swept = Swept()
    with followed.database.read() as session:
        known = archive_studies.known(session, followed.id)
        unlisted = ledger.study_uids(session, followed.id) | set(known)
        old = archive_studies.longest_unlisted(session, followed.id, RELISTED, began - RELISTED_AFTER)
        undated_studies = undated.studies(session)
    dates: dict[str, date] = {}
    rules = followed.connection.rules
    for study in followed.archive.studies(rules.since, rules.until):
        swept.studies += 1
        unlisted.discard(study.study_instance_uid)
        if study.study_date and study.study_instance_uid in undated_studies:
            dates[study.study_instance_uid] = study.study_date
        before = known.get(study.study_instance_uid)
        if study.study_instance_uid in old or _differs(followed, study, before):
            _compare(followed, study, before, swept)
    for uid in unlisted:
        _compare(followed, RemoteStudy(uid), None, swept)
    _date(followed, dates)
    _delete(followed, swept)
    return swept


def _date(followed: Followed, dates: dict[str, date]) -> None:
    """Keep the dates of studies that were indexed before any was kept, or whose headers have none."""
    for some in in_pieces(dates):
        with followed.database.write() as session:
            undated.date_studies(session, {uid: dates[uid] for uid in some})


def _differs(followed: Followed, study: RemoteStudy, before: ArchiveStudy | None) -> bool:
    return before is None or (before.instances, before.stamp) != (study.instances, _stamp(followed, study))


def _stamp(followed: Followed, study: RemoteStudy) -> str:
    """The patient's pseudonym and what the archive says of changes; at most 64 characters."""
    return f"{_patient(followed, study)} {hashlib.sha256(study.stamp.encode()).hexdigest()[:40]}"


def _patient(followed: Followed, study: RemoteStudy) -> str:
    return pseudonym(study.patient_key, followed.settings.resolved_secret_key)


def _compare(followed: Followed, study: RemoteStudy, before: ArchiveStudy | None, swept: Swept) -> None:
    listed = list(followed.archive.instances(study.study_instance_uid))
    swept.compared += 1
    uid = study.study_instance_uid
    with followed.database.write() as session:
        swept.pending += ledger.take_in(session, followed.id, listed, followed.keeps)
        if before is not None and before.stamp.split(" ")[0] != _patient(followed, study):
            uids = [each.sop_instance_uid for each in listed]
            # its headers name another patient now
            swept.pending += len(ledger.fetch_again(session, followed.id, uids))
        whole = _is_whole(study, before, len(listed))
        if whole:
            here = ledger.of_study(session, followed.id, uid)
            swept.gone += _missing(here, (each.sop_instance_uid for each in listed))
        if whole and not listed:
            archive_studies.drop(session, followed.id, uid)
            return
        stamp = _stamp(followed, study) if whole else f"{_patient(followed, study)} {IN_PART}"
        archive_studies.keep(session, followed.id, uid, instances=study.instances, listed=len(listed), stamp=stamp)


def _is_whole(study: RemoteStudy, before: ArchiveStudy | None, listed: int) -> bool:
    """Whether a list of a study's objects can be believed: it has as many as the archive says, or, where that says
    more than it has, the same number twice."""
    if study.instances is None or listed >= study.instances:
        return True
    return before is not None and before.listed == listed


def _missing(here: Iterable[ArchiveObject], listed: Iterable[str]) -> list[ArchiveObject]:
    uids = set(listed)
    return [each for each in here if each.sop_instance_uid not in uids]


def _delete(followed: Followed, swept: Swept) -> None:
    with followed.database.read() as session:
        gone = ledger.unchanged(session, swept.gone)  # one may have turned up in another study meanwhile
        allowed = archives.get(session, followed.name).allowed_deletions
    if swept.studies == 0 and len(gone) >= max(MASS, allowed + 1):
        raise MassDeletion(
            f"The archive {followed.name} lists nothing any more, and listed {len(gone):,} objects before.",
            "If that is right: `cbmir archive sync NAME --accept-deletions`. If not, check what answers there.",
        )
    swept.deleted = forget(followed.database, followed.settings, followed.id, followed.name, gone)
