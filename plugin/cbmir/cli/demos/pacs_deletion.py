"""A study that a demonstration deletes in its archive, and what is left of it here."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass

from cbmir.errors import NotFound
from cbmir.pictures.shelf import Shelf
from cbmir.store import frames, instances
from cbmir.store.session import Database
from cbmir.store.tables import Instance


@dataclass(frozen=True)
class Doomed:
    """A study, the SOP Instance UIDs of its images here, and the keys of their pictures."""

    study: str
    uids: list[str]
    pictures: list[str]

    @classmethod
    def chosen(cls, held: Sequence[Instance], kept: Collection[str]) -> Doomed:
        """The study of the last image that is not of the studies to be kept.

        Raises:
            cbmir.errors.NotFound: if there is none.
        """
        studies = [each.study_instance_uid for each in held if each.study_instance_uid not in kept]
        if not studies or studies[-1] is None:
            raise NotFound("There is no study that could be deleted.", "Send more of them.")
        ours = [each for each in held if each.study_instance_uid == studies[-1]]
        pictures = [frame.picture for each in ours for frame in each.frames]
        return cls(studies[-1], [str(each.sop_instance_uid) for each in ours], pictures)

    def left(self, database: Database) -> int:
        """How many of its images are still in the index."""
        with database.read() as session:
            return len(instances.of_uids(session, self.uids))

    def pictures_on(self, shelf: Shelf, database: Database) -> int:
        """How many of its pictures are still on the shelf though no other image shows the same."""
        with database.read() as session:
            unused = [key for key in self.pictures if not frames.shows(session, key)]
        return sum(_is_on(shelf, key) for key in unused)


def _is_on(shelf: Shelf, key: str) -> bool:
    with suppress(NotFound):
        return bool(shelf.png(key))
    return False
