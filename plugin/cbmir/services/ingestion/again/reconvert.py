"""The use case: pictures that an earlier conversion made are made again, from the files where those came from."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from sqlalchemy.orm import Session

from cbmir.progress import Progress
from cbmir.services.conversion import outdated
from cbmir.services.conversion.isolation import Isolation
from cbmir.services.ingestion.again.from_archives import ask_again
from cbmir.services.ingestion.again.one_by_one import Report, outcomes
from cbmir.services.ingestion.origin import object_of
from cbmir.services.ingestion.renewal import renew
from cbmir.settings import Settings
from cbmir.store import instances
from cbmir.store.session import Database
from cbmir.store.tables import Instance


@dataclass(frozen=True)
class Reconverted:
    """What became of the instances with outdated pictures: each is counted once.

    Attributes:
        renewed: their pictures are replaced; features of these are to be extracted.
        asked: objects whose archive is asked for them again: their pictures are replaced when they come.
        gone: their files are no longer where they were, or changed: the old pictures stay.
        failed: their files cannot be converted any more: the old pictures stay.
    """

    renewed: int = 0
    asked: int = 0
    gone: int = 0
    failed: int = 0

    def as_json(self) -> dict[str, int]:
        """The counts as `reconvert --json` gives them."""
        return asdict(self)


def reconvert(
    database: Database, settings: Settings, progress: Progress, report: Report | None = None
) -> Reconverted:
    """Convert every instance again that has a picture of an earlier conversion.

    Each is recorded by itself: what is cut off goes on where it was. Its id, group and labels stay. An object of an
    archive is fetched again by whoever follows the archive.

    Args:
        database: the installation's.
        settings: the installation's.
        progress: told after each instance.
        report: told why an instance keeps its old pictures.

    Raises:
        cbmir.errors.JobCancelled: if asked to stop; what is renewed stays.
        cbmir.errors.Unavailable: if the database or the disk fails; what is renewed stays.
    """
    with database.read() as session:
        old = outdated.among(instances.all_pipelines(session), settings)
        total = instances.count_made_by(session, old)
    with Isolation(1) as isolation:

        def listing(session: Session, after: int, limit: int) -> list[Instance]:
            return instances.made_by(session, old, after=after, limit=limit)

        def outcome(instance: Instance) -> str:
            return _outcome(database, settings, instance, isolation)

        return Reconverted(**outcomes(database, total, listing, outcome, progress, report))


def _outcome(database: Database, settings: Settings, instance: Instance, isolation: Isolation) -> str:
    if object_of(instance.origin):
        return _asked(database, instance.origin)
    renew(database, settings, instance, isolation)
    return "renewed"


def _asked(database: Database, origin: str) -> str:
    if lost := ask_again(database, [origin]):
        raise lost[origin]
    return "asked"
