"""The use case: Study Dates of objects that were ingested before any was kept, from where they came from."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from cbmir.archive.folder import size_of
from cbmir.progress import Progress
from cbmir.services.conversion.isolation import Isolation
from cbmir.services.conversion.keep import header_of
from cbmir.services.ingestion.again.one_by_one import Report, outcomes
from cbmir.services.ingestion.origin import object_of
from cbmir.services.ingestion.whence import read_again
from cbmir.settings import Settings
from cbmir.store import undated
from cbmir.store.session import Database
from cbmir.store.tables import Instance


@dataclass(frozen=True)
class Dated:
    """What became of the DICOM objects without a Study Date: each is counted once.

    Attributes:
        dated: they have one now.
        dateless: their headers have none.
        archived: they came from an archive, whose next sweep tells their dates.
        gone: their files are no longer where they were, or changed.
        failed: their files cannot be read any more.
    """

    dated: int = 0
    dateless: int = 0
    archived: int = 0
    gone: int = 0
    failed: int = 0

    def as_json(self) -> dict[str, int]:
        """The counts as `reconvert --dates --json` gives them."""
        return asdict(self)


def date_again(database: Database, settings: Settings, progress: Progress, report: Report | None = None) -> Dated:
    """Read the header again of every DICOM object that has no Study Date; pictures and features stay as they are.

    Args:
        database: the installation's.
        settings: the installation's.
        progress: told after each object.
        report: told why an object stays without a date.

    Raises:
        cbmir.errors.JobCancelled: if asked to stop; what is dated stays so.
        cbmir.errors.Unavailable: if the database or the disk fails; what is dated stays so.
    """
    with database.read() as session:
        total = undated.count(session)
    with Isolation(1) as isolation:

        def outcome(instance: Instance) -> str:
            return _outcome(database, settings, instance, isolation)

        return Dated(**outcomes(database, total, undated.listing, outcome, progress, report))


def _outcome(database: Database, settings: Settings, instance: Instance, isolation: Isolation) -> str:
    if object_of(instance.origin):
        return "archived"
    _, content = read_again(instance, settings)
    name = instance.file_name
    header = isolation.run(name, size_of(content), header_of, content, name, settings)
    if header is None or header.study_date is None:
        return "dateless"
    with database.write() as session:
        undated.date_instance(session, instance.id, header.study_date)
    return "dated"
