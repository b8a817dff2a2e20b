"""Pieces of time that studies are asked for in, when an archive does not answer all at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta

from cbmir.errors import BadRequest

FIRST, LAST = date(1900, 1, 1), date(2100, 1, 1)
"""Between them an open range is cut; what lies beyond stays in the outermost pieces."""

DAY = 24 * 60
"""Minutes."""


@dataclass(frozen=True)
class Span:
    """Study Dates from `since` to `until`, both included, None for open; of a single day perhaps only some minutes.

    Attributes:
        since, until: the days.
        begin, end: minutes of the day, the last not included.
    """

    since: date | None = None
    until: date | None = None
    begin: int = 0
    end: int = DAY

    @classmethod
    def of(cls, since: str, until: str) -> Span:
        """From YYYYMMDD, empty for open."""
        return cls(_day(since), _day(until))

    @property
    def study_date(self) -> str:
        """As a key for Study Date (PS3.4 C.2.2.2.5); empty for all."""
        first, last = (f"{day:%Y%m%d}" if day else "" for day in (self.since, self.until))
        return first if first == last else f"{first}-{last}"

    @property
    def study_time(self) -> str:
        """As a key for Study Time; empty for the whole day."""
        if (self.begin, self.end) == (0, DAY):
            return ""
        return f"{_clock(self.begin)}00-{_clock(self.end - 1)}59"

    def halves(self) -> tuple[Span, Span] | None:
        """Two that together are this one; None for a single minute, which cannot be cut."""
        first, last = self.since or FIRST, self.until or LAST
        if first < last:
            middle = first + (last - first) // 2
            return replace(self, until=middle), replace(self, since=middle + timedelta(days=1))
        if self.since is None or self.until is None or self.end - self.begin == 1:
            return None
        noon = (self.begin + self.end) // 2
        return replace(self, end=noon), replace(self, begin=noon)


def _day(text: str) -> date | None:
    """
    Raises:
        cbmir.errors.BadRequest: if it is no date.
    """
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise BadRequest(f"{text!r} is no date.", "Write it as YYYYMMDD.") from error


def _clock(minute: int) -> str:
    return f"{minute // 60:02}{minute % 60:02}"
