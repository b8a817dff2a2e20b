"""What is known of an object that the index lacks: on its way, not wanted, unusable, deleted, or unknown."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from cbmir.dicom.kinds import may_show
from cbmir.store import listed
from cbmir.store.listed import Level
from cbmir.types import ObjectState

TELLING = (
    ObjectState.PENDING,
    ObjectState.SET_ASIDE,
    ObjectState.SKIPPED,
    ObjectState.DELETED,
    ObjectState.HELD,
)
"""Which state is told where the objects of a series or a study differ: the first that one of them is in."""


@dataclass(frozen=True)
class Whereabouts:
    """What the archives' ledger says of a UID.

    Attributes:
        state: None where no archive lists it.
        count: objects below the UID that are in this state.
        archive: name of the archive of the one that came to it last.
        reason: why that one is in this state, or why it could not be had yet; may be empty.
        paused: whether the archive is left alone.
        silent: whether the archive did not answer when it was last asked.
        pictureless: whether all in this state are reports, plans and the like, which show nothing.
    """

    level: Level
    uid: str
    state: ObjectState | None = None
    count: int = 0
    archive: str = ""
    reason: str = ""
    paused: bool = False
    silent: bool = False
    pictureless: bool = False


def of(session: Session, level: Level, uid: str) -> Whereabouts:
    """What is known of an instance, a series or a study."""
    counts = listed.states(session, level, uid)
    state = next((each for each in TELLING if counts.get(each)), None)
    found = listed.latest(session, level, uid, state) if state else None
    if state is None or found is None:
        return Whereabouts(level, uid)
    row, archive = found
    pictureless = not any(map(may_show, listed.classes(session, level, uid, state)))
    return Whereabouts(
        level, uid, state, counts[state], archive.name, row.error_message or "",
        archive.paused, archive.connected is False, pictureless,
    )  # fmt: skip
