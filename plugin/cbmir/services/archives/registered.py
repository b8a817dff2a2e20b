"""The archives that are followed: added, opened, removed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy.orm import Session

from cbmir.archive import registry
from cbmir.archive.base import Archive
from cbmir.archive.connection import ArchiveKind, Connection, Rules
from cbmir.dicom.kinds import may_show
from cbmir.errors import BadRequest, NotFound
from cbmir.services.archives.forget import forget
from cbmir.services.archives.sealing import seal, unseal
from cbmir.services.archives.slips import refuse_slips
from cbmir.settings import Settings
from cbmir.store import archives, ledger, tables
from cbmir.store.session import Database
from cbmir.types import RemoteInstance

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Followed:
    """An archive that is open, and where its account is kept."""

    database: Database
    settings: Settings
    id: int
    name: str
    connection: Connection
    archive: Archive

    def keeps(self, each: RemoteInstance) -> bool:
        """Whether an object is wanted: the rules keep it, and its SOP class is none that shows nothing."""
        wanted = self.connection.rules.keeps(each.modality, each.body_part, each.study_date)
        return wanted and may_show(each.sop_class_uid)


def add(database: Database, settings: Settings, connection: Connection) -> None:
    """Follow an archive from now on; nothing is asked of it yet.

    Raises:
        cbmir.errors.BadRequest: if the name is none or taken, or the connection is described wrongly.
    """
    refuse_name(database, connection.name)
    refuse_slips(connection)
    registry.connect(connection).close()
    with database.write() as session:
        archives.add(
            session,
            name=connection.name,
            kind=connection.kind,
            address=connection.address,
            options=connection.options(),
            sealed_credentials=seal(connection.credentials, settings.resolved_secret_key),
        )


def rules_of(row: tables.Archive) -> Rules:
    """What of the archive of a row is wanted."""
    return Connection.of(row.name, row.kind, row.address, row.options, {}).rules


def refuse_name(database: Database, name: str) -> None:
    """Refuse a name that no archive can be added under.

    Raises:
        cbmir.errors.BadRequest: if it is none, or taken.
    """
    if not NAME.fullmatch(name):
        raise BadRequest(
            f"{name[:64]!r} is no name for an archive.",
            "Use 1 to 64 letters, digits, dots, dashes and underscores.",
        )
    with database.read() as session:
        archives.refuse_known(session, name)


def refuse_all_but_orthanc(database: Database, name: str) -> None:
    """Refuse the name of an archive that no script in an Orthanc can speak for.

    Raises:
        cbmir.errors.NotFound: if there is none of this name.
        cbmir.errors.BadRequest: if it is followed in another way than by Orthanc's API.
    """
    with database.read() as session:
        row = archives.find(session, name)
    if row is None:
        raise NotFound(f"There is no archive {name[:64]}.", f"Add it first: `cbmir archive add {name[:64]} URL`.")
    if row.kind != ArchiveKind.ORTHANC:
        raise BadRequest(
            f"The archive {name} is followed by {row.kind}: there, Orthanc's ids mean nothing.",
            "Remove it, and add Orthanc by the address of its REST API.",
        )


def connection_of(row: tables.Archive, settings: Settings) -> Connection:
    """How the archive of a row is reached.

    Raises:
        cbmir.errors.BadRequest: if its credentials were sealed under another secret key.
    """
    credentials = unseal(row.sealed_credentials, settings.resolved_secret_key, row.name)
    return Connection.of(row.name, row.kind, row.address, row.options, vars(credentials))


def connection_to(database: Database, settings: Settings, name: str) -> Connection:
    """How the archive of this name is reached.

    Raises:
        cbmir.errors.NotFound: if there is none.
        cbmir.errors.BadRequest: as `connection_of`.
    """
    with database.read() as session:
        return connection_of(archives.get(session, name), settings)


@contextmanager
def opened(database: Database, settings: Settings, name: str) -> Iterator[Archive]:
    """The archive of this name, to be asked; closed afterwards.

    Raises:
        cbmir.errors.NotFound: if there is none.
    """
    with followed(database, settings, name) as found:
        yield found.archive


@contextmanager
def followed(database: Database, settings: Settings, name: str) -> Iterator[Followed]:
    """The archive of this name with its account; closed afterwards.

    Raises:
        cbmir.errors.NotFound: if there is none.
    """
    with database.read() as session:
        row = archives.get(session, name)
    connection = connection_of(row, settings)
    archive = registry.connect(connection)
    try:
        yield Followed(database, settings, row.id, row.name, connection, archive)
    finally:
        archive.close()


def refuse_removed(session: Session, followed: Followed) -> None:
    """Refuse to call anything of an archive done that was removed meanwhile.

    Raises:
        cbmir.errors.NotFound: if it was, whether or not another has its name now.
    """
    row = archives.find(session, followed.name)
    if row is None or row.id != followed.id:
        raise NotFound(
            f"The archive {followed.name} was removed while it was fetched from.", "Nothing is left to do."
        )


def remove(database: Database, settings: Settings, name: str, *, delete_images: bool) -> int:
    """Follow an archive no longer.

    Args:
        database: the installation's.
        settings: the installation's.
        name: the archive's.
        delete_images: whether what came from it is deleted here too, unless another archive holds it.

    Returns:
        How many images were deleted.

    Raises:
        cbmir.errors.NotFound: if there is no such archive.
    """
    with database.write() as session:
        row = archives.get(session, name)
        archives.change(session, row.id, paused=True)
    deleted = 0
    if delete_images:
        with database.read() as session:
            objects = ledger.all_alive(session, row.id)
        deleted = forget(database, settings, row.id, row.name, objects)
    with database.write() as session:
        archives.remove(session, row)
    return deleted
