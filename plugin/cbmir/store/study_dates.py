"""Study Dates in a filter: the terms that name one, and the instances that they keep."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Self

from sqlalchemy import ColumnElement

from cbmir.errors import BadRequest
from cbmir.store.tables import Instance

TERM = re.compile(r"\s*study_date\s*([<>=!]+)(.*)", re.DOTALL)
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Days:
    """The days from `first` to `last`, both included; None is open."""

    first: date | None = None
    last: date | None = None

    @classmethod
    def of(cls, compared: str, day: date) -> Self:
        """What `>=`, `>`, `<=`, `<` or `=` a day is.

        Raises:
            cbmir.errors.BadRequest: if no calendar has such days.
        """
        try:
            if compared in (">", "<"):
                return cls(first=day + DAY) if compared == ">" else cls(last=day - DAY)
        except OverflowError as error:
            raise BadRequest(f"No day is {compared} {day}.") from error
        return cls(None if compared == "<=" else day, None if compared == ">=" else day)

    def narrowed(self, others: Days) -> Days:
        """The days that are in both.

        Raises:
            cbmir.errors.BadRequest: if there are none.
        """
        first = max((each.first for each in (self, others) if each.first), default=None)
        last = min((each.last for each in (self, others) if each.last), default=None)
        if first and last and first > last:
            raise BadRequest(
                f"No study date is both {first} or later and {last} or earlier.", "Begin before you end."
            )
        return Days(first, last)

    def hold(self, day: date) -> bool:
        """Whether a day is one of them."""
        return (self.first is None or day >= self.first) and (self.last is None or day <= self.last)

    def clause(self) -> list[ColumnElement[bool]]:
        """Conditions over `Instance`, to be joined by AND; an instance without a date meets none."""
        conditions = [Instance.study_date >= self.first] if self.first else []
        return conditions + ([Instance.study_date <= self.last] if self.last else [])


def names_date(term: str) -> bool:
    """Whether a term is about the study date, well written or not."""
    return TERM.fullmatch(term) is not None


def days(term: str) -> Days:
    """The days that a term such as `study_date>=2024-01-31` keeps.

    Raises:
        cbmir.errors.BadRequest: if it does not compare with a day.
    """
    return Days.of(*_compared(term, (">=", ">", "<=", "<", "=")))


def checked(term: str) -> str:
    """The term as it is kept.

    Raises:
        cbmir.errors.BadRequest: if it does not compare with a day.
    """
    compared, day = _compared(term)
    return f"study_date{compared}{day.isoformat()}"


def clause(term: str) -> list[ColumnElement[bool]]:
    """What a term keeps, as `Days.clause`; also one of `!=`, which an instance without a date does not meet either.

    Raises:
        cbmir.errors.BadRequest: if it does not compare with a day.
    """
    compared, day = _compared(term)
    return [Instance.study_date != day] if compared == "!=" else Days.of(compared, day).clause()


def holds(term: str, day: date) -> bool:
    """Whether a term keeps a day; see `clause`.

    Raises:
        cbmir.errors.BadRequest: if it does not compare with a day.
    """
    compared, other = _compared(term)
    return day != other if compared == "!=" else Days.of(compared, other).hold(day)


def read_day(text: str) -> date:
    """A day written as 2024-01-31 or 20240131.

    Raises:
        cbmir.errors.BadRequest: if it is none.
    """
    try:
        return date.fromisoformat(text.strip())
    except ValueError as error:
        raise BadRequest(f"{text.strip()[:32]!r} is no day.", "Write for example 2024-01-31.") from error


def _compared(term: str, known: tuple[str, ...] = (">=", ">", "<=", "<", "=", "!=")) -> tuple[str, date]:
    found = TERM.fullmatch(term)
    if found is None or found[1] not in known:
        raise BadRequest(f"The filter {term!r} compares no date.", "Write for example study_date>=2024-01-31.")
    return found[1], read_day(found[2])
