"""Let another encoder answer: at once, as a whole, and back again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from cbmir.errors import EncoderNotReady, NotFound
from cbmir.store import activations, encoders, features
from cbmir.store.session import Database
from cbmir.store.tables import Encoder


@dataclass(frozen=True)
class Switched:
    """A switch.

    Attributes:
        encoder: the id of the one that answers now.
        before: of the one that did before; None if there was none; the same if nothing changed.
        lacking: images that the one before could find and the new one cannot, for lack of features.
    """

    encoder: str
    before: str | None
    lacking: int

    def as_json(self) -> dict[str, Any]:
        """The switch as the command line and the REST API give it."""
        return dict(vars(self))


def activate(database: Database, encoder_id: str, *, incomplete: bool = False) -> Switched:
    """Let an encoder answer every query that begins from now on; those that run keep the one they began with.

    Args:
        database: the installation's.
        encoder_id: which.
        incomplete: switch although images that can be found now would no longer be found.

    Raises:
        cbmir.errors.NotFound: if there is no such encoder.
        cbmir.errors.EncoderNotReady: if its features were freed, or it lacks some that the active one has.
    """
    with database.read() as session:
        lacking = _lacking(session, encoders.usable(session, encoder_id))
    if lacking and not incomplete:
        raise EncoderNotReady(
            f"{lacking:,} images that can be found now have no feature of the encoder {encoder_id} yet.",
            f"Run `cbmir extract --encoder {encoder_id}` first. Of what cannot be extracted it says why; to do "
            f"without, `cbmir encoders activate {encoder_id} --incomplete`.",
        )
    with database.write() as session:
        session.get(Encoder, encoder_id, with_for_update=True)  # whoever frees its features waits, or came first
        encoders.usable(session, encoder_id)
        before = activations.active(session)
        activations.activate(session, encoder_id)
    return Switched(encoder_id, None if before is None else before.id, lacking)


def back(database: Database, *, incomplete: bool = False) -> Switched:
    """Let the encoder answer that did before the active one; a second call undoes the first.

    Raises:
        cbmir.errors.NotFound: if no other encoder ever answered.
        cbmir.errors.EncoderNotReady: as `activate`.
    """
    with database.read() as session:
        before = activations.previous(session)
    if before is None:
        raise NotFound("No other encoder has answered before.", "See `cbmir encoders`.")
    return activate(database, before.id, incomplete=incomplete)


def _lacking(session: Session, encoder: Encoder) -> int:
    active = activations.active(session)
    return 0 if active is None else features.count_lacking(session, encoder.id, active.id)
