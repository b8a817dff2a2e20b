"""The use case: images out of the index, because somebody wants it; an archive's own deletions are followed."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from cbmir.errors import BadRequest, NotFound
from cbmir.pictures.shelf import Shelf
from cbmir.settings import Settings
from cbmir.store import instances, ledger, queries
from cbmir.store.session import Database
from cbmir.store.tables import Instance
from cbmir.store.writing import in_pieces, serialise
from cbmir.words import counted

AT_ONCE = 100
"""Images that are deleted in one transaction: others can write in between."""

log = logging.getLogger(__name__)


class Extent(StrEnum):
    """How much is deleted with an image."""

    IMAGE = "image"
    STUDY = "study"
    PATIENT = "patient"


@dataclass(frozen=True)
class Removal:
    """What is to be deleted: the ids of images, and how many patients they are of."""

    instance_ids: tuple[int, ...]
    patients: int

    def as_json(self) -> dict[str, Any]:
        """The counts as `delete --json` gives them."""
        return {"images": len(self.instance_ids), "patients": self.patients}


def named(database: Database, names: Sequence[str], *, whole_patients: bool = False) -> Removal:
    """The images of some names.

    Args:
        database: the installation's.
        names: each a SOP, series or study instance UID, the SHA-256 of a file, or a patient's pseudonym.
        whole_patients: take all images of the patients of these, too.

    Raises:
        cbmir.errors.NotFound: if nothing has one of the names.
        cbmir.errors.BadRequest: if an archive that is followed holds one of the images: it would come back.
    """
    found: dict[int, Instance] = {}
    with database.read() as session:
        for name in names:
            some = instances.named(session, name)
            if not some:
                raise NotFound(f"Nothing here is called {name}.", "Name a UID, a file's SHA-256, or a pseudonym.")
            found.update((each.id, each) for each in some)
        groups = {each.group_id for each in found.values()}
        if whole_patients:
            found.update((each.id, each) for each in instances.of_groups(session, groups))
        _refuse_held(session, list(found.values()))
    return Removal(tuple(sorted(found)), len(groups))


def of_image(session: Session, instance: Instance, extent: Extent) -> Removal:
    """An image, or all of its study or patient.

    Raises:
        cbmir.errors.BadRequest: if an archive that is followed holds one of the images: it would come back.
    """
    found = list(session.scalars(select(Instance).where(_within(instance, extent))))
    _refuse_held(session, found)
    return Removal(tuple(sorted(each.id for each in found)), len({each.group_id for each in found}))


def extents(session: Session, instance: Instance) -> dict[Extent, int]:
    """How many images would go with this one: of itself, and of its study and patient where these have more."""
    sizes: dict[Extent, int] = {}
    for extent in Extent:
        size = session.scalar(select(func.count()).select_from(Instance).where(_within(instance, extent))) or 0
        if size > max(sizes.values(), default=0):
            sizes[extent] = size
    return sizes


def _within(instance: Instance, extent: Extent) -> ColumnElement[bool]:
    if extent is Extent.PATIENT:
        return Instance.group_id == instance.group_id
    if extent is Extent.STUDY and instance.study_instance_uid:
        return Instance.study_instance_uid == instance.study_instance_uid
    return Instance.id == instance.id


def _refuse_held(session: Session, found: Sequence[Instance]) -> None:
    uids = [uid for each in found if (uid := each.sop_instance_uid)]
    held = [archive.name for _, archive in ledger.holders(session, uids)]
    if held:
        raise BadRequest(
            f"{counted(len(held), 'of these images is', 'of these images are')} in an archive that is followed: "
            f"{', '.join(sorted(set(held)))}.",
            "Delete them there, which is followed here; or have the archive's rules leave them out.",
        )


def remove(database: Database, settings: Settings, removal: Removal) -> int:
    """Delete images with their pictures, features and labels, the queries about them, and their place in other
    answers. Where it is cut off, the rest stays whole; the log keeps their UIDs, or else the hash of their file.

    Returns:
        How many were deleted; some may have gone by themselves meanwhile.

    Raises:
        cbmir.errors.DatabaseUnavailable: if the database does not answer.
    """
    deleted = 0
    for some in in_pieces(removal.instance_ids, AT_ONCE):
        with database.write() as session:
            found = instances.of_ids(session, some)
            told = [each.sop_instance_uid or each.sha256 for each in found]
            deleted += delete_instances(session, Shelf(settings.pictures), found)
        for each in told:
            log.info("object %s is deleted", each)
    return deleted


def delete_instances(session: Session, shelf: Shelf, found: Sequence[Instance]) -> int:
    """Delete instances, and what else shows or names them.

    Their pictures go before the session commits: were it cut off, rows without pictures would be left to be deleted
    again, not patients' pictures that no row names.

    Returns:
        How many there were.
    """
    serialise(session)  # no image that shows one of their pictures is recorded meanwhile
    instances.lock_frames(session, *(each.id for each in found))  # answers that are being recorded are seen then
    pictures = queries.forget(session, found)
    for instance in found:
        pictures.update(instances.delete(session, instance))
    for key in instances.unused_pictures(session, pictures):
        shelf.discard(key)
    return len(found)
