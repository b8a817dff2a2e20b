"""What the archive's index holds, for those who browse it: pages of instances, the values to filter by, counts."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, and_, case, exists, func, or_, select, true
from sqlalchemy.orm import Session, joinedload, selectinload

from cbmir.errors import NotFound
from cbmir.labels import split
from cbmir.store import archives
from cbmir.store.filters import Look, Where
from cbmir.store.frames import known_descriptions
from cbmir.store.tables import Feature, Frame, Group, Instance, Job, Label, Quarantined

MOST_COUNTED = 10_000
"""Who pages beyond has the next page counted, too."""
SAMPLED = 1_000
"""Instances at which the conditions of a filter are tried first."""
MANY = 0.05
"""Of a filter that keeps this share of them a page and the count fill soon for who looks one by one."""

Conditions = Sequence[ColumnElement[bool]]


class Sort(StrEnum):
    """What comes first on a listing's pages; each order tells all instances apart, so that no page repeats one."""

    ADDED = "added"
    """The newest here first."""
    STUDY_DATE = "study_date"
    """The newest study first, its instances together; those without a date last."""
    FILE_NAME = "file_name"


@dataclass(frozen=True)
class Card:
    """One instance as it is shown among others; `frame_id` is its first frame."""

    instance_id: int
    frame_id: int
    frames: int
    file_name: str
    sop_instance_uid: str | None
    modality: str | None
    body_part: str | None
    study_date: date | None
    labels: dict[str, str]
    created_at: datetime

    def as_json(self) -> dict[str, Any]:
        """The card as the REST API gives it."""
        day = self.study_date and self.study_date.isoformat()
        return {**vars(self), "study_date": day, "created_at": self.created_at.isoformat()}


@dataclass(frozen=True)
class Shelfful:
    """One page of a listing and the number of all that match; with `more` there are more, which nobody counted."""

    cards: list[Card]
    total: int
    more: bool = False


@dataclass(frozen=True)
class Facets:
    """The values that a filter can name, each with the number of instances that have it, most frequent first.

    Attributes:
        labels: label name to its values, each that one names by itself (`cbmir.labels`); `modality` and `subclass`
            among them.
        body_parts: of the DICOM header.
        dates: whether any has a study date.
        names: what an evaluation can tell images apart by: labels, and what headers say.
    """

    labels: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    body_parts: list[tuple[str, int]] = field(default_factory=list)
    dates: bool = False
    names: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Statistics:
    """How much of everything there is; `features` by encoder, `jobs` by kind and state."""

    groups: int
    instances: int
    frames: int
    quarantined: int
    features: dict[str, int]
    jobs: dict[tuple[str, str], int]


def browse(
    session: Session, where: Where, *, text: str = "", sort: Sort = Sort.ADDED, limit: int = 48, offset: int = 0
) -> Shelfful:
    """One page of the instances that match.

    Args:
        session: any.
        where: what to keep.
        text: part of a file name, or a whole UID of the instance, its series or its study; empty keeps all.
        sort: what comes first.
        limit: instances on the page.
        offset: instances before it.

    Raises:
        cbmir.errors.NotFound: if the filter names an archive that there is not.
    """
    archives.refuse_unknown(session, where)
    conditions = [*_conditions(session, where), *_about(text)]
    cards = _cards(session, _page(session, conditions, sort, limit, offset))
    most = max(MOST_COUNTED, offset + 2 * limit)
    total = _counted(session, conditions, most + 1)
    return Shelfful(cards, min(total, most), total > most)


_ORDERS: dict[Sort, tuple[Any, ...]] = {
    Sort.ADDED: (Instance.id.desc(),),
    Sort.STUDY_DATE: (Instance.study_date.desc(), Instance.study_instance_uid.desc(), Instance.id.desc()),
    Sort.FILE_NAME: (Instance.file_name, Instance.id),
}


def _conditions(session: Session, where: Where) -> list[ColumnElement[bool]]:
    """The filter's, by row; where it keeps few instances the condition that keeps fewest lists them."""
    by_row = where.clause(Look(by_row=True, session=session))
    if not by_row:
        return []
    present, kept, *each = _sampled(session, [true(), and_(*by_row), *by_row])
    if kept < MANY * present:
        rarest = each.index(min(each))
        by_row[rarest] = where.clause(Look(session=session))[rarest]
    return by_row


def _sampled(session: Session, conditions: Conditions) -> Sequence[int]:
    """How many instances of a sample meet each condition."""
    last = session.scalar(select(func.max(Instance.id))) or 0
    sample = random.Random(0).sample(range(1, last + 1), min(last, SAMPLED))  # noqa: S311 - no secret
    met = [func.coalesce(func.sum(case((condition, 1), else_=0)), 0) for condition in conditions]
    return session.execute(select(*met).where(Instance.id.in_(sample))).one()


def _page(session: Session, conditions: Conditions, sort: Sort, limit: int, offset: int) -> Sequence[Instance]:
    if sort is not Sort.STUDY_DATE:
        return _some(session, conditions, sort, limit, offset)
    # in two statements: no index of both databases has those without a date at the end
    dated = [Instance.study_date.is_not(None), *conditions]
    found = _some(session, dated, sort, limit, offset)
    if len(found) == limit:
        return found
    passed = 0 if found else max(offset - _counted(session, dated), 0)
    undated = [Instance.study_date.is_(None), *conditions]
    return [*found, *_some(session, undated, sort, limit - len(found), passed)]


def _some(session: Session, conditions: Conditions, sort: Sort, limit: int, offset: int) -> Sequence[Instance]:
    page = select(Instance).where(*conditions).order_by(*_ORDERS[sort]).limit(limit).offset(offset)
    return session.scalars(page.options(selectinload(Instance.labels))).all()


def _counted(session: Session, conditions: Conditions, most: int | None = None) -> int:
    # in an order, else SQLite may look at all that an index has before those that are wanted
    matching = select(Instance.id).where(*conditions).order_by(Instance.id.desc()).limit(most).subquery()
    return session.scalar(select(func.count()).select_from(matching)) or 0


def _about(text: str) -> list[ColumnElement[bool]]:
    if not text:
        return []
    uids = (Instance.sop_instance_uid, Instance.series_instance_uid, Instance.study_instance_uid)
    return [or_(Instance.file_name.icontains(text, autoescape=True), *(uid == text for uid in uids))]


def _cards(session: Session, instances: Sequence[Instance]) -> list[Card]:
    firsts = _first_frames(session, [instance.id for instance in instances])
    return [_card(instance, *firsts[instance.id]) for instance in instances if instance.id in firsts]


def _first_frames(session: Session, instance_ids: list[int]) -> dict[int, tuple[int, int]]:
    rows = session.execute(
        select(Frame.instance_id, func.min(Frame.id), func.count())
        .where(Frame.instance_id.in_(instance_ids))
        .group_by(Frame.instance_id)
    )
    return {instance_id: (frame_id, count) for instance_id, frame_id, count in rows}


def _card(instance: Instance, frame_id: int, frames: int) -> Card:
    return Card(
        instance_id=instance.id,
        frame_id=frame_id,
        frames=frames,
        file_name=instance.file_name,
        sop_instance_uid=instance.sop_instance_uid,
        modality=instance.modality,
        body_part=instance.body_part,
        study_date=instance.study_date,
        labels=labels_of(instance),
        created_at=instance.created_at,
    )


def labels_of(instance: Instance) -> dict[str, str]:
    """The instance's labels by name, in alphabetical order."""
    return {label.name: label.value for label in sorted(instance.labels, key=lambda each: each.name)}


def instance(session: Session, instance_id: int) -> Instance:
    """One instance with its group, frames and labels loaded.

    Raises:
        cbmir.errors.NotFound: if there is none of this id.
    """
    found = session.get(
        Instance,
        instance_id,
        options=[selectinload(Instance.frames), selectinload(Instance.labels), joinedload(Instance.group)],
    )
    if found is None:
        raise NotFound(f"There is no image {instance_id}.", "It may have been removed from the archive.")
    return found


def facets(session: Session) -> Facets:
    """The values that the instances of the archive can be filtered by."""
    labels = {name: _most_frequent_first(counts) for name, counts in _label_counts(session).items()}
    dated = session.scalar(select(exists().where(Instance.study_date.is_not(None))))
    names = [*labels, *(name for name in known_descriptions(session) if name not in labels)]
    return Facets(labels, _body_part_counts(session), bool(dated), names)


def _label_counts(session: Session) -> dict[str, Counter[str]]:
    """How many instances have each label, by its name; who has several in one value counts for each."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    rows = select(Label.name, Label.value, func.count()).group_by(Label.name, Label.value).order_by(Label.name)
    for name, value, count in session.execute(rows):
        counts[name].update(dict.fromkeys(split(value), count))
    return counts


def _most_frequent_first(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda each: (-each[1], each[0]))


def _body_part_counts(session: Session) -> list[tuple[str, int]]:
    part = func.coalesce(Instance.body_part, "")
    counts = select(part, func.count()).where(part != "").group_by(part)
    return [(value, count) for value, count in session.execute(counts.order_by(func.count().desc(), part))]


def facets_stamp(session: Session) -> tuple[int, int]:
    """Changes whenever an instance or a label is added: cheap to ask for before `facets`, which counts them all."""
    return session.scalar(select(func.max(Instance.id))) or 0, session.scalar(select(func.max(Label.id))) or 0


def statistics(session: Session) -> Statistics:
    """Count everything."""
    features = select(Feature.encoder_id, func.count()).group_by(Feature.encoder_id)
    jobs = select(Job.kind, Job.state, func.count()).group_by(Job.kind, Job.state)
    return Statistics(
        groups=_count(session, Group),
        instances=_count(session, Instance),
        frames=_count(session, Frame),
        quarantined=_count(session, Quarantined),
        features=dict(iter(session.execute(features))),
        jobs={(kind, state): count for kind, state, count in session.execute(jobs)},
    )


def _count(session: Session, table: type[Group | Instance | Frame | Quarantined]) -> int:
    return session.scalar(select(func.count()).select_from(table)) or 0
