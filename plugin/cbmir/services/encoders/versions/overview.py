"""What each encoder is at the moment: in use, ready, being prepared, not extracted, freed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy.orm import Session

from cbmir.services.retrieval import library
from cbmir.store import activations, encoders
from cbmir.store.tables import Encoder

BYTES_A_NUMBER = 4


class VersionState(StrEnum):
    """What an encoder can do now."""

    IN_USE = "in use"
    """It answers queries."""
    READY = "ready"
    """Every frame has a feature of it: it can be switched to."""
    PREPARING = "preparing"
    """Frames still lack features of it."""
    NOT_EXTRACTED = "not extracted"
    """Nobody has asked for features of it yet."""
    FREED = "freed"
    """Its features were deleted."""


@dataclass(frozen=True)
class Version:
    """An encoder and its features.

    Attributes:
        state: see `VersionState`.
        features: how many there are.
        missing: frames of the archive that lack one.
        bytes: what the vectors take in the database, without its own book-keeping.
        is_previous: whether it is the one that going back leads to.
    """

    encoder: Encoder
    state: VersionState
    features: int
    missing: int
    bytes: int
    is_previous: bool


def versions(session: Session, statistics: library.Statistics | None = None) -> list[Version]:
    """All encoders, the active one first, then the newest first."""
    counted = statistics or library.statistics(session)
    active, before = activations.active(session), activations.previous(session)
    first, last = (None if each is None else each.id for each in (active, before))
    rows = [
        _version(row, counted.features.get(row.id, 0), counted.frames, first, last)
        for row in encoders.listing(session)
    ]
    return sorted(rows, key=lambda each: each.state is not VersionState.IN_USE)


def _version(row: Encoder, features: int, frames: int, active: str | None, before: str | None) -> Version:
    missing = max(0, frames - features)
    taken = features * row.dimension * BYTES_A_NUMBER
    return Version(row, _state(row, missing, active), features, missing, taken, row.kept and row.id == before)


def _state(row: Encoder, missing: int, active: str | None) -> VersionState:
    if row.id == active:
        return VersionState.IN_USE
    if row.kept:
        return VersionState.PREPARING if missing else VersionState.READY
    return VersionState.FREED if encoders.was_extracted(row) else VersionState.NOT_EXTRACTED
