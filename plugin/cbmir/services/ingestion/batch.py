"""Several prepared files in one short transaction; each gets what it would have got alone."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy.orm import Session

from cbmir.errors import BadRequest, UnusableInput
from cbmir.services.ingestion.record import Outcome, Prepared, Recorded, new_instance, record
from cbmir.store import instances
from cbmir.store.new_instances import NewInstance

LONGEST_SECONDS = 0.05
"""After so long no more files are written in the same transaction: others wait for the write lock."""


def record_all(
    session: Session, prepared: Sequence[Prepared], *, believe_uid: bool = False, replaces: bool = False
) -> list[Recorded | UnusableInput]:
    """Write several prepared files: what is new together, then the others one by one, each with a savepoint.

    Args:
        session: one that writes.
        prepared: from `prepare`, in order.
        believe_uid, replaces: as for `record`.

    Returns:
        What became of each, or why it is refused; of one at least it is not `Outcome.LATER`.
    """
    until = time.monotonic() + LONGEST_SECONDS
    became = _new_recorded(session, prepared)
    for place, each in enumerate(prepared):
        if place not in became and (not became or time.monotonic() < until):
            became[place] = _recorded_apart(session, each, believe_uid, replaces)
    return [became.get(place, Recorded(Outcome.LATER)) for place in range(len(prepared))]


def _new_recorded(session: Session, prepared: Sequence[Prepared]) -> dict[int, Recorded | UnusableInput]:
    """What became of the new ones among them, and of those that cannot be kept, by their places."""
    became: dict[int, Recorded | UnusableInput] = {}
    new: dict[int, NewInstance] = {}
    for place, each in enumerate(prepared):
        try:
            if each.converted:
                new[place] = new_instance(each, each.converted)
        except BadRequest as error:
            became[place] = error
    others = {id(each) for each in instances.add_all(session, [*new.values()])}
    became |= {place: Recorded(Outcome.INGESTED) for place, each in new.items() if id(each) not in others}
    return became


def _recorded_apart(
    session: Session, prepared: Prepared, believe_uid: bool, replaces: bool
) -> Recorded | UnusableInput:
    try:
        with session.begin_nested():
            return record(session, prepared, believe_uid=believe_uid, replaces=replaces)
    except UnusableInput as error:
        return error


def unwanted(prepared: Prepared) -> Recorded:
    """What becomes of a file that is not recorded: its pictures may be of no use."""
    return Recorded(Outcome.UNWANTED, tuple(frame.picture for frame in prepared.frames))


def still_unused(session: Session, became: Recorded | UnusableInput) -> Recorded | UnusableInput:
    """The same, without the pictures that others recorded with it use."""
    if isinstance(became, Recorded) and became.unused:
        return replace(became, unused=tuple(instances.unused_pictures(session, set(became.unused))))
    return became
