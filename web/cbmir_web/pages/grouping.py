"""Hits as people read them: those of one study under its best, and whose they are, by small numbers.

The numbers are made when an answer is shown: no key of a patient's group leaves the database.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cbmir.services.retrieval.subject import names_patient
from cbmir.store.tables import Frame

Hit = dict[str, Any]
"""`cbmir.types.Hit.as_json`."""

OWN = "same patient"


@dataclass(frozen=True)
class Fold:
    """The best hit of a study, and the others that are folded under it."""

    best: Hit
    others: list[Hit] = field(default_factory=list)


def by_study(hits: Sequence[Hit]) -> list[Fold]:
    """The hits of each study together, in the order of their best; one without a study stays alone."""
    folds: dict[Any, Fold] = {}
    for hit in hits:
        key = hit["study_instance_uid"] or (hit["frame_id"],)
        if key in folds:
            folds[key].others.append(hit)
        else:
            folds[key] = Fold(hit)
    return list(folds.values())


def one_by_one(hits: Sequence[Hit]) -> list[Fold]:
    """Every hit for itself."""
    return [Fold(hit) for hit in hits]


def patients(hits: Sequence[Hit], frames: Mapping[int, Frame], own: Collection[int]) -> dict[int, str]:
    """Whose each hit is, by the id of its frame: `patient 1`, `patient 2` in the order of the hits.

    Args:
        hits: of one answer.
        frames: those of the hits, by id.
        own: ids of the groups that are the query's own patient.

    Returns:
        Nothing for a hit whose patient is not known.
    """
    groups = [(hit["frame_id"], frames[hit["frame_id"]].instance) for hit in hits]
    named = [(frame_id, instance.group_id) for frame_id, instance in groups if names_patient(instance)]
    names = dict.fromkeys(own, OWN)
    for _, group in named:
        names.setdefault(group, f"patient {len(names.keys() - set(own)) + 1}")
    return {frame_id: names[group] for frame_id, group in named}
