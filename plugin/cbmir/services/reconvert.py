"""The use case: pictures that an earlier conversion made are made again, from the files where those came from."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from sqlalchemy.orm import Session

from cbmir.archive.manifest import NoLabels
from cbmir.errors import CbmirError, NotFound, Unavailable
from cbmir.pictures.shelf import Shelf
from cbmir.progress import Progress
from cbmir.services import outdated
from cbmir.services.archives.again import ask_again
from cbmir.services.archives.origin import object_of
from cbmir.services.isolation import Isolation
from cbmir.services.one_by_one import Report, outcomes
from cbmir.services.record import Outcome, Prepared, Recorded, prepare, record
from cbmir.services.whence import read_again
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


def renew(database: Database, settings: Settings, instance: Instance, isolation: Isolation) -> bool:
    """Make an instance's pictures again from the file that it came from; False if another process was quicker.

    Raises:
        cbmir.errors.NotFound: if the file is no longer there, or is another one now.
        cbmir.errors.UnusableInput: if it cannot be converted any more.
    """
    source, content = read_again(instance, settings)
    prepared = prepare(source, content, instance.sha256, NoLabels(), database, settings, isolation)
    with database.write() as session:
        if session.get(Instance, instance.id) is None:  # it must not come back by this way
            raise NotFound(
                f"{instance.file_name} was removed from the archive meanwhile.", "Nothing needs to be done."
            )
        recorded = record(session, prepared)
    discard(settings, recorded)
    return recorded.outcome is Outcome.RENEWED


def renew_namesake(database: Database, settings: Settings, prepared: Prepared, isolation: Isolation) -> None:
    """Renew the instance of the same SOP Instance UID, if that can be done, so that the two can be compared."""
    header = prepared.converted.header if prepared.converted else None
    with database.read() as session:
        known = instances.find_by_sop_instance_uid(session, header.sop_instance_uid) if header else None
    if known is None:
        return
    try:
        renew(database, settings, known, isolation)
    except Unavailable:
        raise
    except CbmirError:
        return  # its old pictures say nothing about these: the UID will be believed


def discard(settings: Settings, recorded: Recorded) -> None:
    """Take pictures from the shelf that nothing uses any more, after their replacement is committed."""
    shelf = Shelf(settings.pictures)
    for key in recorded.unused:
        shelf.discard(key)


def _outcome(database: Database, settings: Settings, instance: Instance, isolation: Isolation) -> str:
    if object_of(instance.origin):
        return _asked(database, instance.origin)
    renew(database, settings, instance, isolation)
    return "renewed"


def _asked(database: Database, origin: str) -> str:
    if lost := ask_again(database, [origin]):
        raise lost[origin]
    return "asked"
