"""What a filter keeps of a gallery, worked out from its terms; `Where.clause` is the same for the database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from pyroaring import BitMap64
from sqlalchemy import select
from sqlalchemy.orm import Session

from cbmir.errors import EmptyGallery
from cbmir.index.terms import Terms, ids_of
from cbmir.labels import tidied
from cbmir.modalities import modality_class
from cbmir.store import frames, study_dates
from cbmir.store.filters import COLUMNS, GROUP, Where, asked
from cbmir.store.study_dates import Days
from cbmir.store.tables import Archive
from cbmir.store.terms import ARCHIVE, BODY_PART, CODE, LABEL, STUDY_DATE
from cbmir.types import IdArray


def kept(session: Session, terms: Terms, where: Where) -> IdArray:
    """The members that the filter keeps: int64 (m,), ascending."""
    return ids_of(_kept(session, terms, where))


def nothing_kept(terms: Terms, where: Where) -> EmptyGallery:
    """The error for a filter that keeps no member: where it asks for a label that none has, which there are."""
    known = {name.removeprefix(LABEL) for name in terms.holders if name.startswith(LABEL)}
    for name in where.label:
        if name not in known | {GROUP}:
            reason = f"The filter asks for {name!r}: no image that has a feature carries such a label."
            return EmptyGallery(reason, f"Ask for {', '.join([*COLUMNS, *sorted(known - set(COLUMNS))])}.")
    return EmptyGallery("The filter keeps no image that has a feature.", "Loosen the filter.")


def _kept(session: Session, terms: Terms, where: Where) -> BitMap64:
    conditions = [_carry(session, terms, name, value) for name, value in where.label.items()]
    if where.modality is not None:
        conditions.append(_of_modality(terms, where.modality))
    if where.body_part is not None:
        conditions.append(terms.among(BODY_PART, _same(where.body_part)))
    if where.archive is not None:
        conditions.append(_listed_by(session, terms, where.archive))
    if where.study_from or where.study_to:
        conditions.append(_dated(terms, Days(where.study_from, where.study_to).hold))
    conditions += [BitMap64.union(*(_holds(session, terms, term) for term in choices)) for choices in where.any_of]
    if where.exclude_group is not None:
        conditions.append(terms.members - _of_group(session, where.exclude_group))
    if where.exclude_instance is not None:
        conditions.append(terms.members - BitMap64(frames.ids_of_instance(session, where.exclude_instance)))
    return BitMap64.intersection(terms.members, *conditions)


def _carry(session: Session, terms: Terms, name: str, value: str) -> BitMap64:
    labelled = terms.having(LABEL + name, tidied(value))
    return labelled | _of_group(session, value) if name == GROUP else labelled


def _of_group(session: Session, key: str) -> BitMap64:
    return BitMap64(frames.ids_of_groups(session, [key]))


def _of_modality(terms: Terms, wanted: str) -> BitMap64:
    labelled = terms.among(LABEL + "modality", _same(tidied(wanted)))
    coded = terms.among(CODE, lambda _: True)
    without_code = terms.among(LABEL + "modality", _same(modality_class(wanted))) - coded
    return BitMap64.union(terms.among(CODE, _same(wanted)), labelled, without_code)


def _listed_by(session: Session, terms: Terms, name: str) -> BitMap64:
    archive_id = session.scalar(select(Archive.id).where(Archive.name == name))
    return terms.having(ARCHIVE, str(archive_id))


def _dated(terms: Terms, keeps: Callable[[date], bool]) -> BitMap64:
    return terms.among(STUDY_DATE, lambda value: keeps(date.fromisoformat(value)))


def _holds(session: Session, terms: Terms, term: str) -> BitMap64:
    if study_dates.names_date(term):
        return _dated(terms, lambda day: study_dates.holds(term, day))
    is_negated, positive = asked(term)
    held = _kept(session, terms, positive)
    return terms.members - held if is_negated else held


def _same(wanted: str) -> Callable[[str], bool]:
    return lambda value: value == wanted or value.lower() == wanted.lower()
