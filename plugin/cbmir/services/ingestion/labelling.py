"""The use case: labels that somebody gives an image by hand; they hold against what a header or a manifest says."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from cbmir.errors import NotFound
from cbmir.store.labels import set_labels, take_labels
from cbmir.store.tables import Instance
from cbmir.store.writing import serialise
from cbmir.types import LabelOrigin


def label(session: Session, instance: Instance, wanted: Mapping[str, str | None]) -> None:
    """Give and take labels by name: empty and None take one away, until its manifest or folder is ingested again.

    Raises:
        cbmir.errors.NotFound: if the image was deleted meanwhile.
        cbmir.errors.BadRequest: if a name or a value is empty or too long.
    """
    serialise(session)  # who deletes images waits from now on
    if session.scalar(select(Instance.id).where(Instance.id == instance.id)) is None:
        raise NotFound(f"There is no image {instance.id} any more.", "It was deleted meanwhile.")
    session.refresh(instance, ["labels"])
    given = {" ".join(name.split()): (value or "").strip() for name, value in wanted.items()}
    set_labels(session, instance, {name: value for name, value in given.items() if value}, LabelOrigin.USER)
    take_labels(session, instance, {name for name, value in given.items() if not value})
