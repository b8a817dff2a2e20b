"""Pictures of one instance made again, from the file that it came from."""

from __future__ import annotations

from cbmir.archive.manifest import NoLabels
from cbmir.errors import CbmirError, NotFound, Unavailable
from cbmir.pictures.shelf import Shelf
from cbmir.services.conversion.isolation import Isolation
from cbmir.services.ingestion.record import Outcome, Prepared, Recorded, prepare, record
from cbmir.services.ingestion.whence import read_again
from cbmir.settings import Settings
from cbmir.store import instances
from cbmir.store.session import Database
from cbmir.store.tables import Instance
from cbmir.store.writing import serialise


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
    discard(database, settings, recorded)
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


def discard(database: Database, settings: Settings, recorded: Recorded) -> None:
    """Take pictures from the shelf that nothing uses any more, after their replacement is committed."""
    if recorded.unused:
        with database.write() as session:
            serialise(session)  # another image that shows one may have come meanwhile
            for key in instances.unused_pictures(session, set(recorded.unused)):
                Shelf(settings.pictures).discard(key)
