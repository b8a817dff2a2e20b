"""Which protocol an archive speaks, from its address and what answers there."""

from __future__ import annotations

from dataclasses import replace

from cbmir.archive.connection import ArchiveKind, Connection, is_node, is_url
from cbmir.archive.dicomweb.archive import DicomWebArchive
from cbmir.archive.dimse.address import Address
from cbmir.archive.http.session import ArchiveSession
from cbmir.archive.orthanc.rest import Rest
from cbmir.errors import ArchiveGarbled, ArchiveRefused, BadRequest, NotFound


def detect(connection: Connection) -> ArchiveKind:
    """The kind of archive at `connection.address`, whatever its `kind` says.

    `AE@HOST:PORT` is DIMSE, and nothing is sent; at a URL it is asked whether it is Orthanc, and DICOMweb else.

    Raises:
        cbmir.errors.BadRequest: if the address is neither.
        cbmir.errors.ArchiveUnavailable: if nobody answers.
        cbmir.errors.ArchiveRefused: if we are not let in.
    """
    address = connection.address
    if is_url(address):
        return ArchiveKind.ORTHANC if _is_orthanc(connection) else ArchiveKind.DICOMWEB
    if is_node(address):
        try:
            Address.of(address)
        except BadRequest as error:
            reason = f"The archive {connection.name} has no address: {error.reason}"
            raise BadRequest(reason, error.remedy) from error
        return ArchiveKind.DIMSE
    remedy = "Write https://HOST/PATH, or AE@HOST:PORT."
    raise BadRequest(f"The address of the archive {connection.name} is neither a URL nor an AE title.", remedy)


def _is_orthanc(connection: Connection) -> bool:
    session = ArchiveSession(connection)
    try:
        return "ApiVersion" in Rest(session).system()
    except (NotFound, ArchiveGarbled):
        return False
    except ArchiveRefused:  # perhaps only there: a DICOMweb server need not let us see /system
        _knock(connection)
        return False
    finally:
        session.close()


def _knock(connection: Connection) -> None:
    archive = DicomWebArchive(replace(connection, kind=ArchiveKind.DICOMWEB))
    try:
        next(archive.studies(), None)
    finally:
        archive.close()
