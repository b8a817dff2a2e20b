"""Filling a demonstration's archive: which DICOM files there are, what it has, and what it does not take."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path

from cbmir.archive import registry
from cbmir.archive.base import Archive
from cbmir.archive.connection import Connection
from cbmir.archive.identity import sop_instance_uid
from cbmir.errors import BrokenFile, Unavailable
from cbmir.progress import Progress

AT_ONCE = 50
"""Objects that are sent over one association."""


def by_uid(files: Iterable[Path]) -> dict[str, Path]:
    """The DICOM files among these by SOP Instance UID; of several with one UID the last."""
    return {uid: file for file in files if (uid := _uid(file))}


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


def send(connection: Connection, files: Sequence[Path], progress: Progress) -> list[Path]:
    """Send files to an archive.

    Returns:
        Those that it did not take.
    """
    refused: list[Path] = []
    with closing(registry.connect(connection)) as archive:
        for first in range(0, len(files), AT_ONCE):
            refused += _send(archive, files[first : first + AT_ONCE])
            progress.update(min(first + AT_ONCE, len(files)), len(files), "objects sent")
    return refused


def _send(archive: Archive, files: Sequence[Path]) -> list[Path]:
    """Send files together; where one is refused, each half of them, until those that are refused stand alone."""
    try:
        archive.store(files)
    except (BrokenFile, Unavailable):
        middle = len(files) // 2
        return _send(archive, files[:middle]) + _send(archive, files[middle:]) if middle else list(files)
    return []
