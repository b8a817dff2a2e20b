"""How an object of an archive is called where files have paths."""

from __future__ import annotations

SCHEME = "archive:"


def origin_of(name: str, sop_instance_uid: str) -> str:
    """Where an object of the archive `name` came from, as `cbmir.archive.folder.Source.origin`."""
    return f"{SCHEME}{name}/{sop_instance_uid}"


def object_of(origin: str) -> tuple[str, str] | None:
    """The archive's name and the SOP Instance UID that an origin names; None if it is the origin of a file."""
    name, separator, uid = origin.removeprefix(SCHEME).rpartition("/")
    return (name, uid) if origin.startswith(SCHEME) and separator else None
