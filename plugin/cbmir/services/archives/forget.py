"""A deletion: nothing of an image is left but the note that it was deleted."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from cbmir.pictures.shelf import Shelf
from cbmir.services.ingestion.origin import origin_of
from cbmir.services.ingestion.removal import delete_instances
from cbmir.settings import Settings
from cbmir.store import instances, ledger, quarantine
from cbmir.store.session import Database
from cbmir.store.tables import ArchiveObject
from cbmir.store.writing import in_pieces

AT_ONCE = 100
"""Objects that are deleted in one transaction: others can write in between."""

log = logging.getLogger(__name__)


def forget(
    database: Database, settings: Settings, archive_id: int, name: str, objects: Sequence[ArchiveObject]
) -> int:
    """Delete what came of objects that an archive no longer holds, unless another archive holds them too.

    That is: the instance with its frames, features and labels, its pictures, queries about it, its place in other
    answers, its quarantine. The ledger keeps that it was deleted. What is cut off is done again by the next sweep.

    Returns:
        How many images were deleted.
    """
    deleted = 0
    for some in in_pieces(objects, AT_ONCE):
        deleted += _forget(database, Shelf(settings.pictures), archive_id, name, some)
        for each in some:
            log.info("archive %s: object %s is deleted", name, each.sop_instance_uid)
    return deleted


def _forget(database: Database, shelf: Shelf, archive_id: int, name: str, objects: Sequence[ArchiveObject]) -> int:
    with database.write() as session:
        held = ledger.held_elsewhere(session, archive_id, [each.sop_instance_uid for each in objects])
        doomed = [each for each in objects if each.sop_instance_uid not in held]
        quarantine.release(session, origins=[origin_of(name, each.sop_instance_uid) for each in objects])
        ledger.lock(session, [each.id for each in objects])  # before the images, as who records them does
        found = instances.of_uids(session, [each.sop_instance_uid for each in doomed])
        deleted = delete_instances(session, shelf, found)
        ledger.mark_deleted(session, [each.id for each in objects])
    return deleted


def leave_out(
    database: Database, settings: Settings, archive_id: int, name: str, objects: Sequence[ArchiveObject]
) -> int:
    """Delete what came of objects that an archive's rules do not want any more.

    What another archive holds too, or was ingested from elsewhere, stays. The ledger keeps that they are left out.

    Returns:
        How many images were deleted.
    """
    deleted = 0
    for some in in_pieces(objects, AT_ONCE):
        origins = {each.sop_instance_uid: origin_of(name, each.sop_instance_uid) for each in some}
        with database.write() as session:
            held = ledger.held_elsewhere(session, archive_id, list(origins))
            found = instances.of_uids(session, list(origins.keys() - held))
            own = [each for each in found if each.origin == origin_of(name, each.sop_instance_uid or "")]
            quarantine.release(session, origins=origins.values())
            ledger.lock(session, [each.id for each in some])
            deleted += delete_instances(session, Shelf(settings.pictures), own)
            ledger.leave_out(session, [each.id for each in some])
    log.info("archive %s: %d images that are not wanted any more are deleted", name, deleted)
    return deleted
