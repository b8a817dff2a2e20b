"""The values that the forms offer to filter by, counted again when the archive has changed, if that is quick."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import cast

from flask import current_app
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict

from cbmir.services.retrieval import library
from cbmir.store.filters import written

OLDEST_SECONDS = 60.0
"""Changes that the stamp does not show, such as a label's new value, appear after this time."""

NOTICED_SECONDS, RESTS = 0.1, 50
"""Counting that takes longer, as in an archive of a hundred thousand and more, rests for so many times as long:
while images come in, not every page is to wait for it."""


def wanted(given: MultiDict[str, str]) -> list[str]:
    """The terms that a form's fields ask for, the days among them."""
    days = (("study_from", ">="), ("study_to", "<="))
    dates = [f"study_date{compared}{given[name]}" for name, compared in days if given.get(name)]
    return [term for term in given.getlist("where") if term] + dates


def kept(facets: library.Facets, wanted: list[str]) -> list[str]:
    """The terms that no field of a form can show, such as those that came over REST: of other names and values, of
    alternatives, and a second one of the same field."""
    labels = {name: {written(name, value) for value, _ in values} for name, values in facets.labels.items()}
    modality = labels.pop("modality", set())
    fields = (
        modality,
        set().union(*labels.values()),
        {written("body_part", value) for value, _ in facets.body_parts},
    )
    shown = [next((term for term in wanted if term in field), None) for field in fields]
    dates = ("study_date>=", "study_date<=") if facets.dates else ()
    return [term for term in wanted if term not in shown and not (dates and term.startswith(dates))]


@dataclass(frozen=True)
class Counted:
    """The values, with the archive's stamp, the moment and the seconds that it took to count them."""

    stamp: tuple[int, int]
    at: float
    took: float
    facets: library.Facets

    def serves(self, stamp: tuple[int, int], now: float) -> bool:
        """Whether they need not be counted again for an archive of this stamp."""
        rests = RESTS * self.took if self.took > NOTICED_SECONDS else 0.0
        return now - self.at < (max(rests, OLDEST_SECONDS) if stamp == self.stamp else rests)


def facets(session: Session) -> library.Facets:
    """The values, counted at most once a minute for an archive that stays as it is."""
    stamp, now = library.facets_stamp(session), time.monotonic()
    known = cast("Counted | None", current_app.extensions.get("cbmir-facets"))
    if known is None or not known.serves(stamp, now):
        found = library.facets(session)
        known = Counted(stamp, time.monotonic(), time.monotonic() - now, found)
        current_app.extensions["cbmir-facets"] = known
    return known.facets
