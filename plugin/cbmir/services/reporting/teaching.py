"""A teaching file: de-identified copies of the query's object and of hits, with a manifest (IHE TCE style)."""

from __future__ import annotations

import secrets
import shutil
import zipfile
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from cbmir.archive.base import Archive
from cbmir.dicom.boundary import translated
from cbmir.errors import BadRequest, CbmirError
from cbmir.files import written_whole
from cbmir.reports import concepts
from cbmir.reports.burned_in import may_show_text
from cbmir.reports.deidentify import Deidentifier
from cbmir.reports.host import to_bytes
from cbmir.reports.identities import Identities
from cbmir.reports.key_objects import key_objects
from cbmir.reports.reference import Origin, Reference
from cbmir.services.reporting import originals
from cbmir.services.reporting.answers import Told, told
from cbmir.services.retrieval.retrieve import Answer
from cbmir.settings import Settings
from cbmir.store.session import Database

COPIES, MANIFEST, ABOUT = "copies", "manifest.dcm", "about.txt"


@dataclass(frozen=True)
class Choice:
    """What goes into a teaching file.

    Attributes:
        ranks: of the hits wanted, from 1; None for all.
        title: of the case, for `about.txt` and the manifest.
        abstract: what is worth learning from it.
        with_burned_in: take also objects in whose pixels text may stand.
    """

    ranks: Collection[int] | None = None
    title: str = ""
    abstract: str = ""
    with_burned_in: bool = False


@dataclass(frozen=True)
class TeachingFile:
    """What was exported.

    Attributes:
        copies: the de-identified objects by their new UIDs, the query first, hits by rank.
        left_out: a sentence for every object that is not among them.
    """

    copies: tuple[Reference, ...]
    left_out: tuple[str, ...]


def export_teaching_file(
    database: Database,
    settings: Settings,
    answer: str | Answer,
    archive: Archive,
    target: Path,
    choice: Choice | None = None,
) -> TeachingFile:
    """Write de-identified copies, a manifest that refers to them, and `about.txt`.

    The copies follow the Basic Application Level Confidentiality Profile (PS3.15 E.2); nothing tells which patient
    or study they were of, and the table of UIDs is not kept. The manifest is a Key Object Selection "For Teaching".

    Args:
        database: the installation's.
        settings: the installation's.
        answer: the id of the job that asked, or its answer.
        archive: has the objects.
        target: a zip, if its name ends so, which replaces one that was there; else a folder, which is made or
            empty.
        choice: which hits, and what is said of the case.

    Raises:
        cbmir.errors.NotFound: if there is no such answer.
        cbmir.errors.BadRequest: if the query is a plain image, if a hit that is wanted is none of the answer's, if
            the title or the abstract names a patient, if the folder is not empty, or if no object can be exported;
            nothing is written then.
        cbmir.errors.ArchiveUnavailable, cbmir.errors.ArchiveRefused, cbmir.errors.ArchiveGarbled: from the archive.
        cbmir.errors.DiskFull, cbmir.errors.Unavailable: if a file cannot be written.
    """
    wanted = choice or Choice()
    _refuse_full(target)
    found = _chosen(told(database, answer), wanted.ranks)
    with originals.passing_folder(settings) as folder:
        copies, failed = _copies(archive, folder, found, wanted)
        left_out = (*found.left_out, *failed)
        if not copies:
            raise BadRequest("No object of this answer can be exported.", " ".join(left_out))
        references = _renamed((found.query, *found.hits), copies)
        _tell(folder / COPIES, found.origin, references, copies, wanted)
        _pack(folder / COPIES, target)
    return TeachingFile(tuple(references), left_out)


def _refuse_full(target: Path) -> None:
    """A folder's other files would be passed on with the case, and no manifest would tell of them."""
    if target.is_dir() and any(target.iterdir()):
        raise BadRequest(f"The folder {target} is not empty.", "Name a new one, or a zip.")


def _chosen(found: Told, ranks: Collection[int] | None) -> Told:
    if ranks is None:
        return found
    hits = tuple(hit for hit in found.hits if hit.rank in ranks)
    if missing := sorted(set(ranks) - {hit.rank for hit in hits}):
        reason = f"The answer has no hit {', '.join(map(str, missing))} that has UIDs and is in the library."
        raise BadRequest(reason, "Choose by rank, from 1.")
    return replace(found, hits=hits, left_out=())


@dataclass(frozen=True)
class _Copy:
    """A de-identified copy: its file, its UIDs, whether it has several frames, and what its original told."""

    file: Path
    reference: Reference
    several: bool
    identities: Identities


def _copies(archive: Archive, folder: Path, found: Told, choice: Choice) -> tuple[dict[str, _Copy], list[str]]:
    """The copies by their originals' SOP Instance UIDs, and why others are missing."""
    (folder / COPIES).mkdir()
    deidentifier, copies, left_out = Deidentifier(), dict[str, _Copy](), list[str]()
    names = {hit.sop_instance_uid: f"Hit {hit.rank}" for hit in reversed(found.hits)}
    names[found.query.sop_instance_uid] = "The query's image"
    for uid, file in originals.fetched(archive, (found.query, *found.hits), folder):
        try:
            if isinstance(file, CbmirError):
                raise file
            copies[uid] = _copy(file, folder / COPIES, deidentifier, choice)
        except CbmirError as error:
            left_out.append(f"{names[uid]} is left out: {error.sentence}")
    return copies, left_out


def _copy(file: Path, folder: Path, deidentifier: Deidentifier, choice: Choice) -> _Copy:
    dataset = originals.read(file, pixels=True)
    if may_show_text(dataset) and not choice.with_burned_in:
        raise BadRequest("text may stand in its pixels.", "Look at it, and ask for such images too.")
    with translated("it cannot be de-identified"):
        identities = Identities.of(dataset)
        deidentifier.apply(dataset)
        path = folder / f"{dataset.SOPInstanceUID}.dcm"
        dataset.save_as(path, enforce_file_format=True)
        reference = Reference(
            str(dataset.StudyInstanceUID),
            str(dataset.SeriesInstanceUID),
            str(dataset.SOPClassUID),
            str(dataset.SOPInstanceUID),
        )
        return _Copy(path, reference, int(dataset.get("NumberOfFrames") or 1) > 1, identities)


def _renamed(references: Iterable[Reference], copies: Mapping[str, _Copy]) -> list[Reference]:
    """The references, to the copies; without those that have none."""
    there = ((each, copies[each.sop_instance_uid]) for each in references if each.sop_instance_uid in copies)
    return [
        replace(
            copy.reference,
            frame_number=each.frame_number if copy.several else None,
            rank=each.rank,
            distance=each.distance,
            labels=each.labels,
        )
        for each, copy in there
    ]


def _tell(
    folder: Path, origin: Origin, references: list[Reference], copies: Mapping[str, _Copy], choice: Choice
) -> None:
    """Write the manifest, of the first copy's patient, and what is said of the case.

    Raises:
        cbmir.errors.BadRequest: if the title or the abstract names a patient.
    """
    told_by = Identities(frozenset()).joined(copy.identities for copy in copies.values())
    if told_by.in_text(f"{choice.title} {choice.abstract}"):
        raise BadRequest("The title or the abstract names a patient, or what identifies one.", "Say it otherwise.")
    first = next(
        copy for copy in copies.values() if copy.reference.sop_instance_uid == references[0].sop_instance_uid
    )
    header = originals.read(first.file, pixels=False)
    anew = replace(origin, answer=secrets.token_hex())
    manifest = key_objects(header, references, anew, concepts.FOR_TEACHING, choice.title)
    (folder / MANIFEST).write_bytes(to_bytes(manifest))
    (folder / ABOUT).write_text(_about(references, told_by, choice), encoding="utf-8")


def _about(references: Iterable[Reference], told_by: Identities, choice: Choice) -> str:
    parts = [
        choice.title or "Teaching file",
        choice.abstract,
        "\n".join(_line(each, told_by) for each in references),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _line(reference: Reference, told_by: Identities) -> str:
    what = f"Hit {reference.rank}, distance {reference.distance:.4f}" if reference.rank else "Query"
    frame = f", frame {reference.frame_number}" if reference.frame_number else ""
    labels = [f"{name}: {value}" for name, value in reference.labels.items()]
    diagnosis = "; ".join(label for label in labels if not told_by.in_text(label))
    return f"{what}: {reference.sop_instance_uid}.dcm{frame}{' - ' if diagnosis else ''}{diagnosis}"


def _pack(folder: Path, target: Path) -> None:
    files = sorted(folder.iterdir())
    if target.suffix.lower() == ".zip":
        with written_whole(target) as stream, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
            for file in files:
                packed.write(file, file.name)
        return
    for file in files:
        with file.open("rb") as source, written_whole(target / file.name) as stream:
            shutil.copyfileobj(source, stream)
