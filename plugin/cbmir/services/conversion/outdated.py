"""Which pictures, and so which features, an earlier conversion made: they are not mixed with today's in silence."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy.orm import Session

from cbmir.services.conversion.convert import is_outdated
from cbmir.settings import Settings
from cbmir.store import features

REMEDY = "Run `cbmir reconvert`, then `cbmir extract`."


def among(pipelines: Iterable[str], settings: Settings) -> list[str]:
    """Those of the conversions whose pictures would be made in another way today."""
    return sorted(each for each in set(pipelines) if is_outdated(each, settings))


def count(session: Session, encoder_id: str, settings: Settings) -> int:
    """Features of this encoder that were made of pictures of an earlier conversion."""
    made_by = features.pipelines(session, encoder_id)
    return sum(made_by[each] for each in among(made_by, settings))
