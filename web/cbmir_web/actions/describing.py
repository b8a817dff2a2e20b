"""From a form or a request to how an archive is reached, and what of it is wanted; it is tested before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from cbmir.archive.base import Check
from cbmir.archive.connection import RULE_DAYS, RULE_LISTS, ArchiveKind, Connection, Credentials
from cbmir.errors import BadRequest
from cbmir.services.archives import certificates, editing, registered
from cbmir.services.archives.check import test
from cbmir.services.archives.editing import CREDENTIALS, RULES
from cbmir.services.archives.slips import refuse_slips
from cbmir.services.archives.status import ArchiveStatus
from cbmir.store import archives, tables
from cbmir_web.actions.following import status
from cbmir_web.installation import Installation

PATIENCE_SECONDS = 10.0
"""An archive may take so long for each answer while a page waits for its test."""

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
    rules = {key: ", ".join(getattr(known.rules, key)) for key in RULE_LISTS}
    days = {key: _dashed(getattr(known.rules, key)) for key in RULE_DAYS}
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
    refuse_slips(connection)
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
