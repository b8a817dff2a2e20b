"""Results back to the archive: documents in the study of the query's image."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from pydicom import Dataset

from cbmir.archive.base import Archive
from cbmir.dicom.boundary import translated
from cbmir.errors import BadRequest
from cbmir.files import write_whole
from cbmir.reports.host import to_bytes
from cbmir.reports.key_objects import key_objects
from cbmir.reports.reference import Reference
from cbmir.reports.similar_images import similar_images
from cbmir.services.reporting import originals
from cbmir.services.reporting.answers import Told, told
from cbmir.services.retrieval.retrieve import Answer
from cbmir.settings import Settings
from cbmir.store.session import Database


class DocumentKind(StrEnum):
    """As what an answer is told."""

    KOS = "kos"
    """A Key Object Selection Document: what to look at."""
    SR = "sr"
    """A structured report: also rank, distance and labels."""


BOTH = frozenset(DocumentKind)


@dataclass(frozen=True)
class Results:
    """What was made of an answer.

    Attributes:
        documents: kind and SOP Instance UID of each; the same answer always gives the same UIDs.
        hits: how many hits they refer to.
        left_out: of every other hit its rank and why.
    """

    documents: dict[DocumentKind, str]
    hits: int
    left_out: tuple[str, ...]


def send_results(
    database: Database,
    settings: Settings,
    answer: str | Answer,
    archive: Archive,
    kinds: Collection[DocumentKind] = BOTH,
) -> Results:
    """Store the answer in the archive, as new series of the query's study.

    Args:
        database: the installation's.
        settings: the installation's.
        answer: the id of the job that asked, or its answer.
        archive: has the query's object, and takes the documents.
        kinds: which documents.

    Raises:
        cbmir.errors.NotFound: if there is no such answer, or the archive does not have the query's object.
        cbmir.errors.BadRequest: if the query is a plain image, or no hit has UIDs.
        cbmir.errors.ArchiveUnavailable, cbmir.errors.ArchiveRefused, cbmir.errors.ArchiveGarbled: from the archive.
    """
    with originals.passing_folder(settings) as folder:
        results = write_results(database, settings, answer, archive, folder, kinds)
        archive.store(sorted(folder.glob("*.dcm")))
    return results


def write_results(
    database: Database,
    settings: Settings,
    answer: str | Answer,
    archive: Archive,
    folder: Path,
    kinds: Collection[DocumentKind] = BOTH,
) -> Results:
    """Write the documents as files into `folder`, which is made, instead of sending them; else as `send_results`.

    Raises:
        as `send_results`; cbmir.errors.DiskFull, cbmir.errors.Unavailable: if a file cannot be written.
    """
    found = told(database, answer)
    if not found.hits:
        raise BadRequest("No hit of this answer has UIDs: there is nothing to refer to.", " ".join(found.left_out))
    header = originals.header(archive, settings, found.query)
    documents = {kind: _document(kind, header, found) for kind in sorted(kinds)}
    for kind, document in documents.items():
        write_whole(folder / f"{kind}.dcm", to_bytes(document))
    uids = {kind: str(document.SOPInstanceUID) for kind, document in documents.items()}
    return Results(uids, len(found.hits), found.left_out)


def _document(kind: DocumentKind, header: Dataset, found: Told) -> Dataset:
    query = current(found.query, header)
    with translated("The header of the query's object is too damaged for a document", BadRequest):
        if kind is DocumentKind.SR:
            return similar_images(header, query, found.hits, found.origin)
        return key_objects(header, [query, *found.hits], found.origin, description=describe(len(found.hits)))


def current(reference: Reference, header: Dataset) -> Reference:
    """The reference with the UIDs of the object's own header; with a frame only if it has several."""
    several = int(header.get("NumberOfFrames") or 1) > 1
    return replace(
        reference,
        study_instance_uid=str(header.StudyInstanceUID),
        series_instance_uid=str(header.SeriesInstanceUID),
        sop_class_uid=str(header.SOPClassUID),
        sop_instance_uid=str(header.SOPInstanceUID),
        frame_number=reference.frame_number if several else None,
    )


def describe(hits: int) -> str:
    """What the documents are, for who reads them."""
    return f"The image that was asked about, and {hits} that look most like it, nearest first."
