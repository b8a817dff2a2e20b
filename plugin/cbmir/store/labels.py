"""Labels of instances: set by name, as far as where they come from allows it, and taken away."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy.orm import Session

from cbmir.store.instances import tell_anew
from cbmir.store.new_instances import label_row
from cbmir.store.tables import Instance, Label
from cbmir.types import LabelOrigin

RANKS = {origin: rank for rank, origin in enumerate(LabelOrigin)}


def set_labels(session: Session, instance: Instance, labels: Mapping[str, str], origin: LabelOrigin) -> bool:
    """Set labels by name; one of a higher origin (header < folder < manifest < import < user) stays as it is.

    Returns:
        True if a value or an origin changed.

    Raises:
        cbmir.errors.BadRequest: if a name or a value is empty or too long.
    """
    current = {label.name: label for label in instance.labels}
    changed = [
        _set_label(instance, current.get(each.name), each)
        for each in (Label(**label_row(name, value, origin)) for name, value in labels.items())
    ]
    session.flush()
    if any(changed):
        tell_anew(session, instance.id)
    return any(changed)


def take_labels(session: Session, instance: Instance, names: Collection[str]) -> bool:
    """Take the labels of these names away, wherever they come from.

    Returns:
        True if there was one.
    """
    taken = [label for label in instance.labels if label.name in names]
    for label in taken:
        instance.labels.remove(label)
    session.flush()
    if taken:
        tell_anew(session, instance.id)
    return bool(taken)


def _set_label(instance: Instance, present: Label | None, wanted: Label) -> bool:
    if present is None:
        instance.labels.append(wanted)
        return True
    if RANKS[LabelOrigin(wanted.origin)] < RANKS[LabelOrigin(present.origin)]:
        return False
    changed = (present.value, present.origin) != (wanted.value, wanted.origin)
    present.value, present.origin = wanted.value, wanted.origin
    return changed
