"""Which encoder answers: each switch is one row, and the last row counts. A switch is one INSERT, and so whole."""

from __future__ import annotations

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from cbmir.store.tables import Activation, Encoder, Feature


def active(session: Session) -> Encoder | None:
    """The encoder that answers; None before there was any."""
    last = select(Encoder).join(Activation, Activation.encoder_id == Encoder.id).order_by(Activation.id.desc())
    return session.scalar(last.limit(1))


def previous(session: Session) -> Encoder | None:
    """The encoder that answered before the active one; None if none other ever did."""
    now = active(session)
    if now is None:
        return None
    before = select(Encoder).join(Activation, Activation.encoder_id == Encoder.id).where(Encoder.id != now.id)
    return session.scalar(before.order_by(Activation.id.desc()).limit(1))


def activate(session: Session, encoder_id: str) -> bool:
    """Let this encoder answer from the session's commit on.

    Returns:
        Whether another one did before.
    """
    now = active(session)
    if now is not None and now.id == encoder_id:
        return False
    session.add(Activation(encoder_id=encoder_id))
    session.flush()
    return True


def begin(session: Session, encoder_id: str) -> bool:
    """Let a new encoder answer where no other could: there is none, or the active one has no feature at all.

    Returns:
        Whether it answers now.
    """
    now = active(session)
    if now is not None and session.scalar(select(exists().where(Feature.encoder_id == now.id))):
        return now.id == encoder_id
    activate(session, encoder_id)
    return True
