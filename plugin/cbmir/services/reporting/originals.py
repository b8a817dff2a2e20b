"""Objects brought from the archive for a moment, in a folder that is removed afterwards."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydicom import Dataset, dcmread

from cbmir.archive.base import Archive
from cbmir.dicom.boundary import translated
from cbmir.errors import CbmirError, NotFound
from cbmir.reports.reference import Reference
from cbmir.settings import Settings

PREFIX = "reporting-"
"""Of the folders for a moment, in the data folder."""


@contextmanager
def passing_folder(settings: Settings) -> Iterator[Path]:
    """A folder within the installation's data, for its user alone, that is gone when the block ends."""
    settings.data.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=PREFIX, dir=settings.data) as folder:
        yield Path(folder)


def header(archive: Archive, settings: Settings, reference: Reference) -> Dataset:
    """The object's header as the archive has it now, without its pixels.

    Raises:
        cbmir.errors.NotFound: if the archive does not have the object.
        cbmir.errors.ArchiveUnavailable, cbmir.errors.ArchiveRefused, cbmir.errors.ArchiveGarbled: from the archive.
        cbmir.errors.BrokenFile: if what it gives cannot be read.
    """
    with passing_folder(settings) as folder:
        for _, found in fetched(archive, [reference], folder):
            if isinstance(found, CbmirError):
                raise found
            return read(found, pixels=False)
    raise AssertionError("an archive yields each object, or its error")


def fetched(
    archive: Archive, references: Iterable[Reference], folder: Path
) -> Iterator[tuple[str, Path | CbmirError]]:
    """SOP Instance UID of each object, once, with its file or the reason why there is none.

    Raises:
        as `header`, where the archive is lost meanwhile.
    """
    wanted = {each.sop_instance_uid: each.study_instance_uid for each in references}
    known = {
        found.sop_instance_uid: found
        for study in dict.fromkeys(wanted.values())
        for found in archive.instances(study)
        if found.sop_instance_uid in wanted
    }
    for uid in wanted.keys() - known.keys():
        yield uid, _missing(uid)
    for each in archive.fetch(list(known.values()), folder):
        yield each.instance.sop_instance_uid, each.file or each.error or _missing(each.instance.sop_instance_uid)


def _missing(sop_instance_uid: str) -> NotFound:
    return NotFound(
        f"The archive does not have the object {sop_instance_uid}.", "Name the archive from which it was ingested."
    )


def read(path: Path, *, pixels: bool) -> Dataset:
    """The object in this file.

    Raises:
        cbmir.errors.BrokenFile: if it cannot be read.
    """
    with translated("An object that the archive gave cannot be read"):
        return dcmread(path, stop_before_pixels=not pixels)
