"""The proof that the index is what the archive is: every object is compared, and each difference is named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from cbmir.progress import Progress
from cbmir.services.archives.registered import Followed
from cbmir.store import ledger
from cbmir.store.tables import ArchiveObject
from cbmir.types import ObjectState, RemoteInstance

MOST_NAMED = 100
"""Differences of which a summary names each; the others are counted."""


class Kind(StrEnum):
    """How an object here differs from the archive's."""

    UNKNOWN = "unknown here"
    """The archive lists it, the ledger does not."""
    PENDING = "not fetched yet"
    CHANGED = "changed there"
    """The archive gives another digest than that of what was fetched."""
    GONE = "gone there"
    """The archive no longer lists it."""
    LOST = "no image here"
    """It counts as held, and the index has no image of it."""
    SEVERAL = "another there of this UID"
    """The archive has several objects of one SOP Instance UID, as of two patients; the index knows one alone."""


@dataclass(frozen=True)
class Difference:
    """One object that is not here as it is there."""

    kind: Kind
    study_instance_uid: str
    sop_instance_uid: str


@dataclass(frozen=True)
class Verified:
    """What a comparison found.

    Attributes:
        listed: objects of the archive, by SOP Instance UID.
        held: of these in the index, and as the archive has them.
        skipped: of these with nothing to show, or not wanted.
        set_aside: of these that cannot be used.
        differences: all others, and those that are here alone; none if the two are equal.
        by_uid_alone: of those held the ones of which the archive gives no digest: that one was replaced under its
            UID cannot be seen.
    """

    listed: int
    held: int
    skipped: int
    set_aside: int
    differences: list[Difference]
    by_uid_alone: int = 0

    def as_json(self) -> dict[str, Any]:
        """The findings as `archive verify --json` gives them."""
        return {**asdict(self), "equal": not self.differences}

    def summary(self) -> dict[str, Any]:
        """The findings in bounded space, as a job keeps them: the differences counted, and the first of them."""
        kinds = Counter(each.kind.value for each in self.differences)
        first = [asdict(each) for each in self.differences[:MOST_NAMED]]
        return {**self.as_json(), "differences": first, "kinds": dict(kinds)}


def verify(followed: Followed, progress: Progress) -> Verified:
    """Compare every object of an archive with the ledger and the index. Nothing is changed.

    Raises:
        as `cbmir.archive.base.Archive.studies`.
    """
    listed, others = _by_uid(_listed(followed, progress))
    with followed.database.read() as session:
        here = {each.sop_instance_uid: each for each in ledger.all_alive(session, followed.id)}
        lost = {each.sop_instance_uid for each in ledger.held_without_instance(session, followed.id)}
    listed |= _outside(followed, listed, here)
    alike = [
        (row, listed[uid].digest)
        for uid, row in here.items()
        if uid in listed and not _kind(listed[uid], row, lost)
    ]
    states = [row.state for row, _ in alike]
    return Verified(
        listed=len(listed),
        held=states.count(ObjectState.HELD),
        skipped=states.count(ObjectState.SKIPPED),
        set_aside=states.count(ObjectState.SET_ASIDE),
        differences=[*_differences(listed, here, lost), *others],
        by_uid_alone=sum(row.state == ObjectState.HELD and not (row.digest and digest) for row, digest in alike),
    )


def _listed(followed: Followed, progress: Progress) -> Iterator[RemoteInstance]:
    rules = followed.connection.rules
    for number, study in enumerate(followed.archive.studies(rules.since, rules.until), 1):
        yield from followed.archive.instances(study.study_instance_uid)
        progress.update(number, 0, f"{number:,} studies compared")


def _by_uid(found: Iterable[RemoteInstance]) -> tuple[dict[str, RemoteInstance], list[Difference]]:
    """The objects by SOP Instance UID, as the ledger knows them, and those that had one's UID before it."""
    listed: dict[str, RemoteInstance] = {}
    others = []
    for each in found:
        before = listed.get(each.sop_instance_uid)
        if before and _place(before) != _place(each):
            others.append(Difference(Kind.SEVERAL, before.study_instance_uid, before.sop_instance_uid))
        listed[each.sop_instance_uid] = each
    return listed, others


def _place(each: RemoteInstance) -> tuple[str, ...]:
    return each.study_instance_uid, each.series_instance_uid, each.remote_id


def _outside(
    followed: Followed, listed: dict[str, RemoteInstance], here: dict[str, ArchiveObject]
) -> dict[str, RemoteInstance]:
    """What is here of studies that were not listed, being of other days than are wanted now, and is still there."""
    unlisted = {each.study_instance_uid for each in here.values()}
    unlisted -= {each.study_instance_uid for each in listed.values()}
    found = (each for uid in sorted(unlisted) for each in followed.archive.instances(uid))
    return {each.sop_instance_uid: each for each in found if each.sop_instance_uid in here}


def _differences(
    listed: dict[str, RemoteInstance], here: dict[str, ArchiveObject], lost: set[str]
) -> Iterator[Difference]:
    for uid, each in listed.items():
        if kind := _kind(each, here.get(uid), lost):
            yield Difference(kind, each.study_instance_uid, uid)
    for uid, row in here.items():
        if uid not in listed:
            yield Difference(Kind.GONE, row.study_instance_uid, uid)


def _kind(each: RemoteInstance, row: ArchiveObject | None, lost: set[str]) -> Kind | None:
    if row is None:
        return Kind.UNKNOWN
    if row.state == ObjectState.PENDING:
        return Kind.PENDING
    if row.digest and each.digest and row.digest != each.digest:
        return Kind.CHANGED
    return Kind.LOST if row.sop_instance_uid in lost else None
