"""From a connection to the archive that it leads to; an adapter is imported when it is first used."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from cbmir.archive.base import Archive
from cbmir.archive.connection import ArchiveKind, Connection

ADAPTERS = {
    ArchiveKind.DICOMWEB: "cbmir.archive.dicomweb:DicomWebArchive",
    ArchiveKind.ORTHANC: "cbmir.archive.orthanc:OrthancArchive",
    ArchiveKind.DIMSE: "cbmir.archive.dimse.archive:DimseArchive",
}
"""The class of each kind; each takes a `Connection`."""


def connect(connection: Connection) -> Archive:
    """The archive, ready to be asked; nothing is sent yet.

    Raises:
        cbmir.errors.BadRequest: if the address, or a file that the connection names, is of no use, or its rules
            keep nothing.
    """
    connection.rules.check()
    module, _, name = ADAPTERS[connection.kind].partition(":")
    return cast(Archive, getattr(import_module(module), name)(connection))
