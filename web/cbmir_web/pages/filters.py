"""The values that the forms offer to filter by, counted again only when the archive has changed."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import cast

from flask import current_app
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict

from cbmir.services.retrieval import library

OLDEST_SECONDS = 60.0
"""Changes that the stamp does not show, such as a label's new value, appear after this time."""


def wanted(given: MultiDict[str, str]) -> list[str]:
    """The terms that a form's fields ask for, the days among them."""
    days = (("study_from", ">="), ("study_to", "<="))
    dates = [f"study_date{compared}{given[name]}" for name, compared in days if given.get(name)]
    return [term for term in given.getlist("where") if term] + dates


@dataclass(frozen=True)
class _Counted:
    stamp: tuple[int, int]
    at: float
    facets: library.Facets


def facets(session: Session) -> library.Facets:
    """The values, counted at most once a minute for an archive that stays as it is."""
    stamp = library.facets_stamp(session)
    known = cast("_Counted | None", current_app.extensions.get("cbmir-facets"))
    if known is None or known.stamp != stamp or time.monotonic() - known.at > OLDEST_SECONDS:
        known = _Counted(stamp, time.monotonic(), library.facets(session))
        current_app.extensions["cbmir-facets"] = known
    return known.facets
