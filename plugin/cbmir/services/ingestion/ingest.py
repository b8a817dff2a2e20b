"""The use case: files into the index, from disk, from the web, or from wherever they arrive."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

from cbmir.archive.folder import Source, count_sources, find_sources, named_sources
from cbmir.archive.manifest import FolderLabels, Labeller, Manifest, NoLabels
from cbmir.progress import Progress
from cbmir.services.conversion.isolation import Isolation
from cbmir.services.ingestion.run import Entry, Ingested, Ingestion, Ledger, Report, ignore
from cbmir.settings import Settings
from cbmir.store.session import Database


def ingest(
    database: Database,
    settings: Settings,
    paths: Sequence[Path],
    labels: str | None,
    progress: Progress,
    report: Report | None = None,
) -> Ingested:
    """Ingest files, folders, zips and DICOMDIRs from disk.

    Args:
        database: the installation's.
        settings: the installation's.
        paths: what to ingest.
        labels: `folder` for labels from folder names, the path of a manifest, or None.
        progress: told after each file.
        report: told why a file was set aside or failed.

    Raises:
        cbmir.errors.BadManifest: if the manifest cannot be understood.
        cbmir.errors.JobCancelled: if asked to stop; what is recorded stays.
        cbmir.errors.Unavailable: if the database or the disk fails; what is recorded stays.
    """
    labeller = _labeller(labels)
    entries, total = find_sources(paths, settings), count_sources(paths, settings)
    if isinstance(labeller, Manifest):
        entries = chain(_without(entries, labeller.path.resolve()), labeller.missing())
    return Ingestion(database, settings, labeller, report or ignore).run(entries, total, progress)


def ingest_uploads(
    database: Database, settings: Settings, folder: Path, names: Mapping[str, str], progress: Progress
) -> Ingested:
    """Ingest files that were handed in over the web; the bytes of those set aside are kept in the data folder.

    Args:
        database: the installation's.
        settings: the installation's.
        folder: where the uploads lie.
        names: name on disk to the name that the user gave.
        progress: told after each file.

    Raises:
        as `ingest`.
    """
    entries = list(named_sources(((folder / stored, name) for stored, name in names.items()), settings))
    ingestion = Ingestion(database, settings, NoLabels(), ignore, borrowed=folder)
    return ingestion.run(entries, len(entries), progress)


def ingest_entries(
    database: Database, settings: Settings, entries: Sequence[Entry], progress: Progress, report: Report
) -> Ingested:
    """Ingest what was found already, without labels.

    Raises:
        as `ingest`.
    """
    return Ingestion(database, settings, NoLabels(), report).run(entries, len(entries), progress)


def ingest_listed(
    database: Database,
    settings: Settings,
    entries: Iterable[Entry],
    total: int,
    ledger: Ledger,
    progress: Progress,
    isolation: Isolation,
    borrowed: Path | None = None,
) -> Ingested:
    """Ingest what arrives, without labels, and keep account of it.

    Args:
        database: the installation's.
        settings: the installation's.
        entries: taken one by one while others are converted.
        total: how many they will be.
        ledger: told of each.
        progress: told after each.
        isolation: where they are converted; it stays open, for the next call.
        borrowed: a folder of files that nobody else keeps: the bytes of those that are set aside are copied.

    Raises:
        as `ingest`; and whatever `entries` raises.
    """
    ingestion = Ingestion(database, settings, NoLabels(), ignore, borrowed, ledger, isolation)
    return ingestion.work(entries, total, progress)


def _labeller(labels: str | None) -> Labeller:
    if labels is None:
        return NoLabels()
    return FolderLabels() if labels == "folder" else Manifest.read(Path(labels))


def _without(entries: Iterator[Entry], path: Path) -> Iterator[Entry]:
    return (each for each in entries if not (isinstance(each, Source) and each.path == path))
