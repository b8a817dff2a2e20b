"""Which protocol an archive speaks, from its address and what answers there."""

from __future__ import annotations

import re
from dataclasses import replace

from cbmir.archive.connection import ArchiveKind, Connection
from cbmir.archive.dicomweb.archive import DicomWebArchive
from cbmir.archive.http.session import ArchiveSession
from cbmir.archive.orthanc.rest import Rest
from cbmir.errors import ArchiveGarbled, ArchiveRefused, BadRequest, NotFound

AET = re.compile(r"[^\\\x00-\x1f@]{1,16}@[^@\s/]+:[0-9]{1,5}")
"""An AE title, at most 16 characters without backslash or control characters (PS3.5 6.2), a host and a port."""


def detect(connection: Connection) -> ArchiveKind:
    """The kind of archive at `connection.address`, whatever its `kind` says.

    `AE@HOST:PORT` is DIMSE, and nothing is sent; at a URL it is asked whether it is Orthanc, and DICOMweb else.

    Raises:
        cbmir.errors.BadRequest: if the address is neither.
        cbmir.errors.ArchiveUnavailable: if nobody answers.
        cbmir.errors.ArchiveRefused: if we are not let in.
    """
    address = connection.address
    if "://" in address:
        return ArchiveKind.ORTHANC if _is_orthanc(connection) else ArchiveKind.DICOMWEB
    if AET.fullmatch(address) and 0 < int(address.rpartition(":")[2]) < 65_536:
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
