"""From a form or a request to an archive that is followed, tested, asked to be compared, or told of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from cbmir.archive.base import Check
from cbmir.archive.connection import ArchiveKind, Connection, Credentials
from cbmir.errors import BadRequest
from cbmir.services.archives import certificates, editing, registered
from cbmir.services.archives.check import test
from cbmir.services.archives.editing import CREDENTIALS, RULES
from cbmir.services.archives.status import ArchiveStatus, of
from cbmir.store import archives, jobs, queries, tables
from cbmir.store.tables import Job
from cbmir.types import JobKind
from cbmir_web.api.archive_schemas import LISTS
from cbmir_web.installation import Installation

PATIENCE_SECONDS = 10.0
"""An archive may take so long for each answer while a page waits for its test."""

LOOKED_THROUGH = 100
"""Latest jobs among which an archive's last comparison is looked for."""

OUR_OWN = ("untested", "name", "kind", "address", *CREDENTIALS, *RULES)


def add(here: Installation, asked: dict[str, Any]) -> ArchiveStatus:
    """Test an archive, then follow it.

    Args:
        here: the installation.
        asked: as `NewArchiveSchema` gives it.

    Raises:
        cbmir.errors.BadRequest: if it is described wrongly, there already, or a test fails; unless `untested`.
        cbmir.errors.ArchiveUnavailable: if its kind is not said and cannot be found out.
    """
    registered.refuse_name(here.database, asked["name"])
    connection = _connection(here, asked)
    if not asked["untested"]:
        _refuse(connection.name, _checked(connection), "added")
    registered.add(here.database, here.settings, connection)
    return status(here, connection.name)


def edit(here: Installation, name: str, asked: dict[str, Any]) -> ArchiveStatus:
    """Describe an archive otherwise; it is tested first where it would be reached in another way.

    Args:
        here: the installation.
        name: the archive's.
        asked: as `ArchiveChangesSchema` gives it.

    Raises:
        cbmir.errors.NotFound: if there is none of this name.
        cbmir.errors.BadRequest: if it is described wrongly, would be sent the secrets of another host, or a test
            fails; unless `untested`.
        cbmir.errors.ArchiveUnavailable: if its kind, at another address, cannot be found out.
    """
    changes = {key: value for key, value in asked.items() if key not in ("untested", "drop_unmatched")}
    with here.database.read() as session:
        known = archives.get(session, name).options
    changes |= _files(here, changes, known)
    planned = editing.planned(here.database, here.settings, name, changes)
    if not asked["untested"]:
        if "address" in planned.changed and "kind" not in changes:
            planned = replace(planned, after=replace(planned.after, kind=_detected(planned.after)))
        if planned.reaches_otherwise:
            _refuse(name, _checked(planned.after), "edited")
    editing.apply(here.database, here.settings, planned, drop_unmatched=asked["drop_unmatched"])
    return status(here, name)


def described(here: Installation, name: str) -> dict[str, Any]:
    """What a form that edits an archive begins with, by field; no secret is among it.

    Raises:
        cbmir.errors.NotFound: if there is none of this name.
    """
    with here.database.read() as session:
        row = archives.get(session, name)
    known = Connection.of(row.name, row.kind, row.address, row.options, {})
    rules = {key: ", ".join(getattr(known.rules, key)) for key in LISTS}
    days = {key: _dashed(getattr(known.rules, key)) for key in ("since", "until")}
    files = {field: certificates.name_of(here.settings, getattr(known, field)) for field in certificates.FIELDS}
    return {**vars(known), **rules, **days, **files, **_who(row, here)}


def _who(row: tables.Archive, here: Installation) -> dict[str, Any]:
    """Who we are there, and by which way; no secret."""
    try:
        known = registered.connection_of(row, here.settings).credentials
    except BadRequest:  # sealed under another secret key: they can only be given again
        known = Credentials()
    shown = {name: value for name, value in vars(known).items() if name not in editing.SECRETS}
    return {**shown, "way": editing.way_of(known)}


def _dashed(day: str) -> str:
    return f"{day[:4]}-{day[4:6]}-{day[6:]}" if day else ""


def check(here: Installation, name: str) -> list[Check]:
    """What the archive of this name can do, and what is wrong with it.

    Raises:
        cbmir.errors.NotFound: if there is none.
    """
    return _checked(registered.connection_to(here.database, here.settings, name))


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
        waits = [job for job in jobs.unfinished(session) if (job.kind, job.parameters) == (JobKind.VERIFY, asked)]
    return waits[0] if waits else here.enqueue(JobKind.VERIFY, asked)


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


def _files(here: Installation, asked: dict[str, Any], known: Mapping[str, Any]) -> dict[str, str]:
    """The paths of files that are named; one that an administrator named by its path may stay."""
    named = {field: asked[field] for field in certificates.FIELDS if field in asked}
    return {
        field: name if name == known.get(field) else certificates.path_of(here.settings, field, name)
        for field, name in named.items()
    }


def _connection(here: Installation, asked: dict[str, Any]) -> Connection:
    options = {name: value for name, value in asked.items() if name not in OUR_OWN}
    options |= _files(here, asked, {})
    options["rules"] = {name: asked[name] for name in RULES if name in asked}
    credentials = {name: asked[name] for name in CREDENTIALS if name in asked}
    kind = asked.get("kind") or ArchiveKind.DICOMWEB
    connection = Connection.of(asked["name"], kind, asked["address"], options, credentials)
    return connection if asked.get("kind") else replace(connection, kind=_detected(connection))


def _detected(connection: Connection) -> ArchiveKind:
    from cbmir.archive.detect import detect  # with the clients of three protocols: only who adds one needs them

    return detect(_impatient(connection))


def _checked(connection: Connection) -> list[Check]:
    return test(_impatient(connection))


def _impatient(connection: Connection) -> Connection:
    return replace(connection, timeout_seconds=min(connection.timeout_seconds, PATIENCE_SECONDS))


def _refuse(name: str, checks: Iterable[Check], done: str) -> None:
    bad = [each for each in checks if not each.fine]
    if bad:
        said = "; ".join(f"{each.what}: {each.said}" for each in bad)
        remedy = " ".join(each.remedy for each in bad if each.remedy)
        raise BadRequest(f"{name} is not {done}. {said}", f"{remedy} Or let it be {done} untested.".strip())
