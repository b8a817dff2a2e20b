"""What is asked of an archive that is followed: how it is, to be compared, to take an answer, to be told of."""

from __future__ import annotations

from cbmir.services.archives import registered
from cbmir.services.archives.status import ArchiveStatus, of
from cbmir.store import archives, jobs, queries
from cbmir.store.tables import Job
from cbmir.types import JobKind
from cbmir_web.installation import Installation

LOOKED_THROUGH = 100
"""Latest jobs among which an archive's last comparison is looked for."""


def status(here: Installation, name: str) -> ArchiveStatus:
    """How the archive of this name is.

    Raises:
        cbmir.errors.NotFound: if there is none.
    """
    with here.database.read() as session:
        return of(session, name)


def report(here: Installation, name: str, *, query: str, kinds: list[str]) -> Job:
    """Have a worker store an answer in an archive.

    Raises:
        cbmir.errors.NotFound: if there is no such archive, or no such answer.
    """
    with here.database.read() as session:
        archives.get(session, name)
        queries.get(session, query)
    return here.enqueue(JobKind.REPORT, {"archive": name, "query": query, "kinds": sorted(set(kinds))})


def verify(here: Installation, name: str) -> Job:
    """Have a worker compare every object of an archive with the index; a job that does so already is given again.

    Raises:
        cbmir.errors.NotFound: if there is no such archive.
    """
    asked = {"archive": name}
    with here.database.read() as session:
        archives.get(session, name)
        there = jobs.at_work(session, JobKind.VERIFY, asked)
    return there or here.enqueue(JobKind.VERIFY, asked)


def verified(here: Installation) -> dict[str, Job]:
    """The latest comparison of each archive's every object, by the archive's name."""
    with here.database.read() as session:
        found = jobs.listing(session, kind=JobKind.VERIFY, limit=LOOKED_THROUGH)
    return {job.parameters["archive"]: job for job in reversed(found)}


def take_notice(here: Installation, name: str, stored: list[str], deleted: list[str], *, lost: bool) -> None:
    """Keep what an Orthanc's script told, in this order, until the follower has taken it in.

    Args:
        here: the installation.
        name: the archive's.
        stored: Orthanc's ids of objects that are new or were replaced.
        deleted: of objects that are gone.
        lost: whether the script had more to tell and no longer knows what: the archive is then compared as a whole.

    Raises:
        cbmir.errors.NotFound: if there is no such archive.
        cbmir.errors.BadRequest: if it is none that is followed as an Orthanc.
    """
    registered.refuse_all_but_orthanc(here.database, name)
    with here.database.write() as session:
        archive = archives.get(session, name)
        archives.notify(
            session, archive.id, [*((each, False) for each in stored), *((each, True) for each in deleted)]
        )
        if lost:
            archives.change(session, archive.id, sweep_wanted=True)
