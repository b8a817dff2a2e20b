"""`archive test`: whether an archive can be reached, lets us in, and what it can do."""

from __future__ import annotations

from cbmir.archive import registry
from cbmir.archive.base import Check
from cbmir.archive.connection import Connection
from cbmir.errors import CbmirError


def test(connection: Connection) -> list[Check]:
    """Ask an archive what it can do; what fails is a check that says so."""
    try:
        archive = registry.connect(connection)
    except CbmirError as error:
        return [Check("connection", False, error.reason, error.remedy)]
    try:
        return archive.test()
    finally:
        archive.close()
