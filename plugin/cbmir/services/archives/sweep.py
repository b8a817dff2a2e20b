"""A sweep: what an archive lists is compared with the ledger, studies first, then objects where those differ."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any

from cbmir.archive.base import Logged
from cbmir.archive.connection import Rules
from cbmir.errors import MassDeletion
from cbmir.services.archives.forget import forget, leave_out
from cbmir.services.archives.registered import Followed, rules_of
from cbmir.services.ingestion.identity import pseudonym
from cbmir.store import archive_studies, archives, ledger, undated
from cbmir.store.ledger import Keeps
from cbmir.store.tables import ArchiveObject, ArchiveStudy, now
from cbmir.store.writing import in_pieces
from cbmir.types import ObjectState, RemoteInstance, RemoteStudy

RELISTED = 20
"""Studies whose objects are compared in every sweep though nothing tells of a change: those of longest ago."""

RELISTED_AFTER = timedelta(hours=1)
"""A study is not compared again without a reason before this time is over."""

UNCOUNTED = 1000
"""The same of studies whose objects the archive does not count: nothing tells of a change within one. They are
compared in every sweep, or, of a larger archive, in turns."""

MASS = 1000
"""An archive that lists nothing at all, and listed so many objects before, is not believed at once."""


@dataclass
class Swept:
    """What a sweep found: studies that are listed, those looked into, objects to fetch, images deleted because they
    are gone there, and because the rules do not want them any more.

    Attributes:
        gone: objects that are no longer listed.
        unmatched: objects that the rules do not want any more, where these are to be deleted.
        outside: studies that the archive has, though not of the days that are wanted.
    """

    studies: int = 0
    compared: int = 0
    pending: int = 0
    deleted: int = 0
    dropped: int = 0
    gone: list[ArchiveObject] = field(default_factory=list, repr=False)
    unmatched: list[ArchiveObject] = field(default_factory=list, repr=False)
    outside: list[str] = field(default_factory=list, repr=False)


def sweep(
    followed: Followed, found: Callable[[], None] = lambda: None, seen: Callable[[], None] = lambda: None
) -> Swept:
    """Compare a whole archive with the ledger: note what is new or changed, delete what is gone.

    A study is looked into if it is new, or its number of objects, its stamp, its patient or its date are others
    than before, or the rules are, or it is no longer listed: before anything of it is deleted the archive is asked
    for its objects once more. What the rules do not want any more stays, unless an administrator said otherwise.

    Args:
        followed: the archive.
        found: called after each study that is looked into once something is to be fetched: that can be done while
            the others are looked into.
        seen: called before each study; what it raises ends the sweep, and nothing is deleted.

    Raises:
        cbmir.errors.ArchiveUnavailable, cbmir.errors.ArchiveRefused, cbmir.errors.ArchiveGarbled: if the list
            cannot be had as a whole; then nothing is deleted.
        cbmir.errors.MassDeletion: if the archive seems to have lost everything; then nothing is deleted.
    """
    began = now()
    drop = _begin(followed)
    try:
        swept = _swept(followed, began, drop, found, seen)
    except BaseException:
        with followed.database.write() as session:
            archives.change(session, followed.id, sweep_wanted=True)
        raise
    fresh: dict[str, Any] = {"changed_at": began} if swept.pending or swept.gone else {}
    with followed.database.write() as session:
        if drop and not archives.get(session, followed.name).sweep_wanted:
            fresh["drop_unmatched"] = False
        archives.change(session, followed.id, swept_at=began, allowed_deletions=0, **fresh)
    return swept


def _begin(followed: Followed) -> bool:
    """Whether what is not wanted any more is to be deleted. Who asks for a sweep from now on wants another one, and
    who has changed the rules since the archive was opened wants one by those."""
    with followed.database.write() as session:
        row = archives.get(session, followed.name)
        if rules_of(row) != followed.connection.rules:
            return False
        archives.change(session, followed.id, sweep_wanted=False)
        return row.drop_unmatched


def _swept(
    followed: Followed, began: datetime, drop: bool, found: Callable[[], None], seen: Callable[[], None]
) -> Swept:
    swept = Swept()
    with followed.database.read() as session:
        known = archive_studies.known(session, followed.id)
        unlisted = ledger.study_uids(session, followed.id) | set(known)
        old = {
            *archive_studies.longest_unlisted(session, followed.id, RELISTED, began - RELISTED_AFTER),
            *archive_studies.longest_uncounted(session, followed.id, UNCOUNTED, began),
        }
        undated_studies = undated.studies(session)
    dates: dict[str, date] = {}
    rules = followed.connection.rules
    for study in followed.archive.studies(rules.since, rules.until):
        seen()
        swept.studies += 1
        unlisted.discard(study.study_instance_uid)
        if study.study_date and study.study_instance_uid in undated_studies:
            dates[study.study_instance_uid] = study.study_date
        before = known.get(study.study_instance_uid)
        if drop or study.study_instance_uid in old or _differs(followed, study, before):
            _compare(followed, study, before, swept, followed.keeps, drop)
            if swept.pending:
                found()
    for uid in unlisted:
        seen()
        keeps = _nothing if rules.since or rules.until else followed.keeps
        if _compare(followed, RemoteStudy(uid), None, swept, keeps, drop) and keeps is _nothing:
            swept.outside.append(uid)
    _date(followed, dates)
    _delete(followed, swept)
    _leave(followed, swept.outside)
    return swept


def _nothing(_: RemoteInstance) -> bool:
    """The rule for studies that are not of the days wanted."""
    return False


def _date(followed: Followed, dates: dict[str, date]) -> None:
    """Keep the dates of studies that were indexed before any was kept, or whose headers have none."""
    for some in in_pieces(dates):
        with followed.database.write() as session:
            undated.date_studies(session, {uid: dates[uid] for uid in some})


def _differs(followed: Followed, study: RemoteStudy, before: ArchiveStudy | None) -> bool:
    return before is None or (before.instances, before.stamp) != (study.instances, _stamp(followed, study))


def _stamp(followed: Followed, study: RemoteStudy) -> str:
    """The patient's pseudonym, the Study Date, what the archive says of changes and what of it is wanted."""
    rules = replace(followed.connection.rules, since="", until="")
    said = study.stamp if rules == Rules() else f"{study.stamp} {rules}"
    patient = pseudonym(study.patient_key, followed.settings.resolved_secret_key)
    return archive_studies.stamp(patient, study.study_date, hashlib.sha256(said.encode()).hexdigest()[:32])


def _compare(
    followed: Followed, study: RemoteStudy, before: ArchiveStudy | None, swept: Swept, keeps: Keeps, drop: bool
) -> bool:
    """Compare a study's objects; False if the archive has none."""
    listed = list(followed.archive.instances(study.study_instance_uid))
    swept.compared += 1
    uid, stamp = study.study_instance_uid, _stamp(followed, study)
    with followed.database.write() as session:
        swept.pending += ledger.take_in(session, followed.id, listed, keeps)
        if before is not None and archive_studies.is_of_another(before.stamp, stamp):
            uids = [each.sop_instance_uid for each in listed]
            swept.pending += len(ledger.fetch_again(session, followed.id, uids))
        whole = _is_whole(study, before, len(listed))
        here = ledger.of_study(session, followed.id, uid) if whole or drop else []
        if drop:
            unwanted = {each.sop_instance_uid for each in listed if not keeps(each)}
            swept.unmatched += [each for each in here if _is_here(each) and each.sop_instance_uid in unwanted]
        gone = _missing(here, (each.sop_instance_uid for each in listed)) if whole else []
        swept.gone += gone
        if whole and not listed:
            archive_studies.drop(session, followed.id, uid)
            return False
        # until what is gone is deleted, after all studies, the study is to be looked into: we may be cut off before
        settled = whole and not gone and _is_settled(followed, study, before, len(listed))
        stamp = stamp if settled else archive_studies.in_part(stamp)
        archive_studies.keep(session, followed.id, uid, instances=study.instances, listed=len(listed), stamp=stamp)
    return bool(listed)


def _is_here(each: ArchiveObject) -> bool:
    return each.state not in (ObjectState.SKIPPED, ObjectState.DELETED)


def _is_whole(study: RemoteStudy, before: ArchiveStudy | None, listed: int) -> bool:
    """Whether a list of a study's objects can be believed: it has as many as the archive says, or, where that says
    more than it has, the same number twice."""
    if study.instances is None or listed >= study.instances:
        return True
    return before is not None and before.listed == listed


def _is_settled(followed: Followed, study: RemoteStudy, before: ArchiveStudy | None, listed: int) -> bool:
    """Whether a study's number of objects will tell that some are gone. Where more are listed, they are of another
    patient's study of the same UID, or of a moment ago: the number stays when these go."""
    if study.instances is None or listed <= study.instances:
        return True
    return not isinstance(followed.archive, Logged) and before is not None and before.listed == listed


def _missing(here: Iterable[ArchiveObject], listed: Iterable[str]) -> list[ArchiveObject]:
    uids = set(listed)
    return [each for each in here if each.sop_instance_uid not in uids]


def _delete(followed: Followed, swept: Swept) -> None:
    with followed.database.read() as session:
        gone = ledger.unchanged(session, swept.gone)  # one may have turned up in another study meanwhile
        unmatched = ledger.unchanged(session, swept.unmatched)
        allowed = archives.get(session, followed.name).allowed_deletions
    lost = len(gone) + len(unmatched)
    if swept.studies == 0 and lost >= max(MASS, allowed + 1):
        raise MassDeletion(
            f"The archive {followed.name} lists nothing any more, and listed {lost:,} objects before.",
            "If that is right: `cbmir archive sync NAME --accept-deletions`. If not, check what answers there.",
        )
    own = (followed.database, followed.settings, followed.id, followed.name)
    swept.deleted = forget(*own, gone)
    swept.dropped = leave_out(*own, unmatched) if unmatched else 0


def _leave(followed: Followed, studies: Iterable[str]) -> None:
    """Forget studies that are not of the days wanted, as far as nothing of them is in the index."""
    for uid in studies:
        with followed.database.write() as session:
            if ledger.drop_left_out(session, followed.id, uid):
                archive_studies.drop(session, followed.id, uid)
