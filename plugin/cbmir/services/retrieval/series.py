"""The series of a study, each with the image that stands for it: its middle one, where a volume shows most."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

from sqlalchemy import select
from sqlalchemy.orm import InstrumentedAttribute, Session

from cbmir.services.retrieval.subject import representative
from cbmir.store.instances import frames_of
from cbmir.store.tables import Instance

Held = tuple[str, str, str | None, str | None]
"""Series Instance UID, SOP Instance UID, modality and body part of one object."""


@dataclass(frozen=True)
class SeriesCard:
    """One series: how many images of it are in the index, and the frame that stands for them."""

    series_instance_uid: str
    instances: int
    frame_id: int
    modality: str | None
    body_part: str | None


def of_instance(session: Session, sop_instance_uid: str) -> list[SeriesCard]:
    """The one object of this UID, as if it were its series; none where the index does not hold it."""
    return _cards(session, Instance.sop_instance_uid, sop_instance_uid)


def of_study(session: Session, study_instance_uid: str) -> list[SeriesCard]:
    """The series of a study that the index holds, in the order of their UIDs; none where it holds none."""
    return _cards(session, Instance.study_instance_uid, study_instance_uid)


def of_series(session: Session, series_instance_uid: str) -> list[SeriesCard]:
    """The one series of this UID; none where the index does not hold it."""
    return _cards(session, Instance.series_instance_uid, series_instance_uid)[:1]


def _cards(session: Session, level: InstrumentedAttribute[str | None], uid: str) -> list[SeriesCard]:
    columns = (Instance.series_instance_uid, Instance.sop_instance_uid, Instance.modality, Instance.body_part)
    held = session.execute(select(*columns).where(level == uid, Instance.sop_instance_uid.is_not(None)))
    rows: list[Held] = [(series or "", instance or "", modality, part) for series, instance, modality, part in held]
    rows.sort(key=lambda row: (_numbers(row[0]), _numbers(row[1])))
    return [_card(session, list(some)) for _, some in groupby(rows, key=lambda row: row[0])]


def _card(session: Session, rows: list[Held]) -> SeriesCard:
    # devices number the images of a series as they make them: the order of the UIDs is near that of the slices
    uid, middle, modality, body_part = rows[len(rows) // 2]
    frame = representative(frames_of(session, middle), None, middle)
    return SeriesCard(uid, len(rows), frame.id, modality, body_part)


def _numbers(uid: str) -> list[int]:
    return [int(part) for part in uid.split(".") if part.isdecimal()]
