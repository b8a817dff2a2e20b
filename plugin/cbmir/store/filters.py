"""The filter of a search: which instances may be among the hits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import date
from functools import partial
from itertools import chain
from typing import Any, Self

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    false,
    func,
    literal,
    literal_column,
    not_,
    or_,
    select,
    union_all,
)
from sqlalchemy.orm import InstrumentedAttribute, Session

from cbmir.errors import BadRequest
from cbmir.labels import SEPARATOR, tidied
from cbmir.modalities import modality_class
from cbmir.store import alternatives, study_dates
from cbmir.store.study_dates import Days
from cbmir.store.tables import Archive, ArchiveObject, Group, Instance, Label
from cbmir.types import ObjectState


@dataclass(frozen=True)
class Look:
    """How the conditions of a filter are looked at: what they keep is the same."""

    by_row: bool = False
    """The labels of one instance after the other, until there are enough: quick where a condition keeps many. Else
    all that have the label are listed first: quick where it keeps few."""
    session: Session | None = None
    """To ask beforehand how a value is spelled, so that indices find it; None if nobody can be asked."""


@dataclass(frozen=True)
class Where:
    """What an instance must be, all of it; the empty filter keeps every instance."""

    modality: str | None = None
    """A DICOM code or a modality label, in either case: `MR` also finds plain images labelled `mri`."""
    label: dict[str, str] = field(default_factory=dict)
    """Label name -> a label that the stored value names (`cbmir.labels`), or the whole value; `group` is also the
    pseudonym of a patient, the key of its group."""
    body_part: str | None = None
    """Body Part Examined, in either case."""
    archive: str | None = None
    """Name of the archive (PACS) that lists the object."""
    study_from: date | None = None
    """First Study Date; an instance of which none is known is left out."""
    study_to: date | None = None
    """Last Study Date, included; likewise."""
    any_of: list[list[str]] = field(default_factory=list)
    """Of each of these lists at least one term must hold: `NAME=VALUE`, or `NAME!=VALUE`, which holds where the
    other does not, also where nothing is known under that name. Study dates alone are otherwise: where none is
    known no term about it holds, not `!=` either. With several lists that is any combination of AND, OR and NOT
    (its conjunctive normal form)."""
    exclude_group: str | None = None
    """Key of a group (a patient) whose instances are left out."""
    exclude_instance: int | None = None
    """Row id of an instance that is left out."""

    @classmethod
    def parse(cls, terms: Sequence[str]) -> Self:
        """Read terms such as `modality=MR`, `body_part=HEAD` or `subclass=brain_glioma`, all of which must hold.

        Names are `modality`, `body_part`, `archive`, `group` and `study_date`, which takes `>=`, `>`, `<=` and `<`
        too; any other is a label. `NAME!=VALUE` is the contrary, but for study dates that are not known (see
        `any_of`), and ` OR ` between terms of one string wants one of them; a name or a value that has
        that in it is written in double quotes (`cbmir.store.alternatives`). A label whose name ends in `<`, `>` or
        `!` is written with a blank behind it: `NAME> =VALUE`.

        Raises:
            cbmir.errors.BadRequest: if a term is not NAME=VALUE, compares what has no order, two give modality,
                body part, archive or group different values, or there are more than `MOST_TERMS`.
        """
        texts = [alternatives.choices(text) for text in terms]
        if sum(map(len, texts)) > MOST_TERMS:
            raise BadRequest(f"The filter has more than {MOST_TERMS} terms.", "Ask for fewer at a time.")
        pairs: dict[str, str] = {}
        days = Days()
        any_of: list[list[str]] = []
        for choices in texts:
            term = choices[0]
            if len(choices) > 1 or _is_negated(term):
                any_of.append([_checked_term(choice) for choice in choices])
                continue
            if study_dates.names_date(term):
                days = days.narrowed(study_dates.days(term))
                continue
            name, value = _split(term)
            if pairs.setdefault(name, value) != value:
                if name in (*COLUMNS, GROUP):
                    raise BadRequest(f"The filter gives {name} twice.", "Ask for one value of it.")
                any_of.append([_checked_term(term)])  # a value may name both
        modality, body_part, archive = (pairs.pop(name, None) for name in COLUMNS)
        return cls(modality, pairs, body_part, archive, days.first, days.last, any_of)

    def as_json(self) -> dict[str, Any]:
        """The filter as JSON; `from_json` reads it back."""
        dates = {name: day and day.isoformat() for name, day in vars(self).items() if name in DATES}
        told = {**asdict(self), **dates}
        return {name: value for name, value in told.items() if value or name not in ("archive", "any_of", *DATES)}

    @classmethod
    def from_json(cls, document: object) -> Self:
        """Read what `as_json` gave, or any part of it.

        Raises:
            cbmir.errors.BadRequest: if a key is unknown or a value is not of its type.
        """
        if not isinstance(document, Mapping):
            raise BadRequest("The filter is not a JSON object.")
        unknown = set(document) - {each.name for each in fields(cls)}
        if unknown:
            raise BadRequest(f"The filter has an unknown key {sorted(map(str, unknown))[0]!r}.")
        for name, value in document.items():
            _check(name, value)
        lists = {"label": dict(document.get("label") or {}), "any_of": list(document.get("any_of") or [])}
        dates = {name: study_dates.read_day(document[name]) for name in DATES if document.get(name)}
        return cls(**{**document, **dict.fromkeys(DATES), **lists, **dates})

    def archives(self) -> set[str]:
        """Names of the archives that it asks for or leaves out."""
        terms = (term for term in chain.from_iterable(self.any_of) if not study_dates.names_date(term))
        return {each.archive for each in (self, *(asked(term)[1] for term in terms)) if each.archive is not None}

    def clause(self, look: Look | None = None) -> list[ColumnElement[bool]]:
        """Conditions over `Instance`, to be joined by AND; another look gives as many, which keep the same."""
        look = look or Look()
        conditions = [_carries(name, value, look) for name, value in self.label.items()]
        if self.modality is not None:
            conditions.append(_of_modality(self.modality, look))
        if self.body_part is not None:
            conditions.append(_same(Instance.body_part, self.body_part, look))
        if self.archive is not None:
            conditions.append(_listed_by(self.archive, look))
        conditions += Days(self.study_from, self.study_to).clause()
        conditions += [or_(*(_holds(term, look) for term in choices)) for choices in self.any_of]
        if self.exclude_group is not None:
            conditions.append(not_(_of_group(self.exclude_group)))
        if self.exclude_instance is not None:
            conditions.append(Instance.id != self.exclude_instance)
        return conditions


MOST_TERMS = 64
"""Of one filter, each alternative counted: SQLite takes a second for so many, a minute for some hundreds."""
COLUMNS = ("modality", "body_part", "archive")
"""What a term may ask about that is no label."""
DATES = ("study_from", "study_to")
_EXAMPLE = "Write for example modality=MR; a name or a value that has ` OR ` in it stands in double quotes."
GROUP = "group"
ORDERING = ("<", ">")
COMPARING = (*ORDERING, "!")
Column = ColumnElement[Any] | InstrumentedAttribute[Any]
Ways = Callable[[Column, str], list[ColumnElement[bool]]]
Alike = Callable[..., ColumnElement[bool]]


def asked(term: str) -> tuple[bool, Where]:
    """Whether a term of `any_of` is NAME!=VALUE, and the filter for NAME=VALUE; not for a term of `study_date`."""
    name, value = _split(term)
    is_negated = _is_negated(term)
    name = name[:-1].strip() if is_negated else name
    modality, body_part, archive = (value if name == each else None for each in COLUMNS)
    return is_negated, Where(modality, {} if name in COLUMNS else {name: value}, body_part, archive)


def written(name: str, value: str) -> str:
    """A term that `Where.parse` reads as this name and value."""
    return alternatives.quoted(_term(name, value))


def _term(name: str, value: str) -> str:
    """NAME=VALUE, with a blank between where the end of the name would read as part of the comparison."""
    return f"{name}{' ' * name.endswith(COMPARING)}={value}"


def _split(term: str) -> tuple[str, str]:
    before, equals, after = term.partition("=")
    name, value = before.strip(), after.strip()
    if not (name and equals and value):
        raise BadRequest(f"The filter {term!r} is not NAME=VALUE.", _EXAMPLE)
    if before.endswith(ORDERING):
        raise BadRequest(
            f"The filter {term!r} compares what has no order.",
            f"Only study_date takes >= and <=; write = or !=, or, of a label named {name!r}, a blank before the =.",
        )
    return name, value


def _is_negated(term: str) -> bool:
    return term.partition("=")[0].endswith("!")


def _checked_term(term: str) -> str:
    if study_dates.names_date(term):
        return study_dates.checked(term)
    name, value = _split(term)
    if not name.rstrip("! "):
        raise BadRequest(f"The filter {term!r} is not NAME!=VALUE.", "Write for example modality!=MR.")
    return f"{name}={value}" if _is_negated(term) else _term(name, value)


def _holds(term: str, look: Look) -> ColumnElement[bool]:
    """Whether a term of `any_of` does."""
    if study_dates.names_date(term):
        return and_(*study_dates.clause(term))
    is_negated, positive = asked(term)
    holds = and_(*positive.clause(look))
    return not_(func.coalesce(holds, false())) if is_negated else holds


def _check(name: str, value: object) -> None:
    if name == "any_of":
        good = value is None or (
            isinstance(value, list)
            and all(
                isinstance(each, list) and each and all(isinstance(term, str) for term in each) for each in value
            )
        )
        if good and isinstance(value, list):
            for term in chain.from_iterable(value):
                _checked_term(term)
    elif name == "label":
        good = value is None or (
            isinstance(value, Mapping) and all(isinstance(text, str) for pair in value.items() for text in pair)
        )
    elif name == "exclude_instance":
        good = value is None or (isinstance(value, int) and not isinstance(value, bool))
    else:
        good = value is None or isinstance(value, str)
    if not good:
        raise BadRequest(f"The filter's {name} has a value of the wrong type.")


def _of_modality(wanted: str, look: Look) -> ColumnElement[bool]:
    is_class = modality_class(wanted) == wanted.lower()  # then whoever has it is labelled as wanted
    coded = _same(Instance.modality, wanted, look)
    labelled, named = (_same(Label.value, tidied(each), look) for each in (wanted, modality_class(wanted)))
    if look.by_row:
        of_class = and_(Instance.modality.is_(None), _label_is("modality", named))
        return or_(coded, _label_is("modality", labelled), *([] if is_class else [of_class]))
    bare = _labelled("modality", named).join(Instance, Instance.id == Label.instance_id)
    listed = [] if is_class else [bare.where(Instance.modality.is_(None))]
    return _is_one_of(select(Instance.id).where(coded), _labelled("modality", labelled), *listed)


def _carries(name: str, value: str, look: Look) -> ColumnElement[bool]:
    ways = _ways_to_name(Label.value, tidied(value))
    if look.by_row:
        named = _label_is(name, or_(*ways))
        return or_(_of_group(value), named) if name == GROUP else named
    of_group = [select(Instance.id).where(_of_group(value))] if name == GROUP else []
    return _is_one_of(*(_labelled(name, way) for way in ways), *of_group)


def _ways_to_name(column: Column, label: str) -> list[ColumnElement[bool]]:
    """A kept value is this text, or names it among others: `cbmir.labels.answers_to`, in SQL, and no LIKE: to
    SQLite a and A are alike there. There is an index of those for which the first condition holds."""
    if SEPARATOR in label:
        return [column == label]
    several = func.replace(column, literal_column(f"'{SEPARATOR}'"), literal_column("''")) != column
    between = literal(SEPARATOR) + column + SEPARATOR
    among = func.replace(between, f"{SEPARATOR}{label}{SEPARATOR}", "") != between
    return [column == label, and_(several, among)]


def _ways_to_be(column: Column, value: str) -> list[ColumnElement[bool]]:
    return [column == value]


def _is_one_of(*lists: Select[Any]) -> ColumnElement[bool]:
    """One list for all, which PostgreSQL can begin with; by OR it would look at every instance."""
    return Instance.id.in_(union_all(*(each.correlate(None) for each in lists)) if len(lists) > 1 else lists[0])


def _of_group(key: str) -> ColumnElement[bool]:
    return Instance.group_id.in_(select(Group.id).where(Group.key == key))


def _labelled(name: str, condition: ColumnElement[bool]) -> Select[Any]:
    return select(Label.instance_id).where(Label.name == name, condition)


def _label_is(name: str, condition: ColumnElement[bool]) -> ColumnElement[bool]:
    # not EXISTS, of which PostgreSQL makes a list
    return select(condition).where(Label.instance_id == Instance.id, Label.name == name).scalar_subquery()


def _listed_by(name: str, look: Look) -> ColumnElement[bool]:
    here = ArchiveObject.state != ObjectState.DELETED
    if look.by_row:
        archive = select(Archive.id).where(Archive.name == name).scalar_subquery()
        mine = select(here).where(ArchiveObject.archive_id == archive)
        return mine.where(ArchiveObject.sop_instance_uid == Instance.sop_instance_uid).scalar_subquery()
    listed = select(ArchiveObject.sop_instance_uid).join(Archive, Archive.id == ArchiveObject.archive_id)
    return func.coalesce(Instance.sop_instance_uid, "").in_(listed.where(here, Archive.name == name))


def _same(column: InstrumentedAttribute[Any], value: str, look: Look) -> ColumnElement[bool]:
    ways = _ways_to_name if column is Label.value else _ways_to_be
    if look.session is None:
        return _alike(ways, column, value)
    return column.in_(_spellings(look.session, column, partial(_alike, ways, value=value)))


def _alike(ways: Ways, column: Column, value: str) -> ColumnElement[bool]:
    # SQLite lowers ASCII only: what is equal as it stands must match too
    return or_(*ways(column, value), *ways(func.lower(column), value.lower()))


def _spellings(session: Session, column: InstrumentedAttribute[Any], alike: Alike) -> Sequence[str]:
    """What a column holds that passes; an index leads from one value to the next."""
    here = [Label.name == "modality"] if column is Label.value else []
    first = select(func.min(column).label("value")).where(*here).cte(recursive=True)
    following = select(func.min(column)).where(column > first.c.value, *here).scalar_subquery()
    every = first.union_all(select(following).where(first.c.value.is_not(None)))
    return session.scalars(select(every.c.value).where(alike(column=every.c.value))).all()
