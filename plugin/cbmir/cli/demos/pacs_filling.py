"""Filling a demonstration's archive: which DICOM files there are, what it has, and what it does not take."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path

from cbmir.archive import registry
from cbmir.archive.base import Archive
from cbmir.archive.connection import Connection
from cbmir.archive.identity import is_uid, sop_instance_uid
from cbmir.errors import BrokenFile, CbmirError
from cbmir.progress import Progress

AT_ONCE = 50
"""Objects that are sent over one association."""


def by_uid(files: Iterable[Path]) -> dict[str, Path]:
    """The DICOM files among these by SOP Instance UID, where it is one; of several with the same the last."""
    return {uid: file for file in files if is_uid(uid := _uid(file))}


def _uid(file: Path) -> str:
    try:
        return sop_instance_uid(file, file.name)
    except BrokenFile:
        return ""


def uids_in(connection: Connection) -> set[str]:
    """The SOP Instance UIDs of all that an archive holds.

    Raises:
        as `cbmir.archive.base.Archive.studies`.
    """
    with closing(registry.connect(connection)) as archive:
        studies = [each.study_instance_uid for each in archive.studies()]
        return {each.sop_instance_uid for study in studies for each in archive.instances(study)}


def send(by_dimse: Connection, by_rest: Connection, files: Sequence[Path], progress: Progress) -> list[Path]:
    """Send files to an Orthanc by C-STORE.

    A damaged file may make it fall silent and end the association: those that were to go over that are handed in
    one by one then, by its REST API, which refuses such a file at once.

    Returns:
        Those that it did not take.
    """
    refused: list[Path] = []
    with closing(registry.connect(by_dimse)) as dimse, closing(registry.connect(by_rest)) as rest:
        for first in range(0, len(files), AT_ONCE):
            some = files[first : first + AT_ONCE]
            if not _sent(dimse, some):
                refused += [file for file in some if not _sent(rest, [file])]
            progress.update(first + len(some), len(files), "objects sent")
    return refused


def _sent(archive: Archive, files: Sequence[Path]) -> bool:
    try:
        archive.store(files)
    except CbmirError:
        return False
    return True
