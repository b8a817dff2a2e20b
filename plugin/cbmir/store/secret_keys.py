"""The fingerprint of the secret key that a database was filled under."""

from __future__ import annotations

from sqlalchemy.orm import Session

from cbmir.store.tables import SecretKey
from cbmir.store.writing import insert, insert_new

ONLY = 1


def known(session: Session) -> str | None:
    """The fingerprint; None before the first start."""
    row = session.get(SecretKey, ONLY)
    return row.fingerprint if row else None


def keep_first(session: Session, fingerprint: str) -> None:
    """Keep it where none is known; of two processes that do this at once the first wins."""
    insert_new(session, SecretKey, [{"id": ONLY, "fingerprint": fingerprint}])


def replace(session: Session, fingerprint: str) -> None:
    """Keep it in the place of the one that is known."""
    row = insert(session, SecretKey).values(id=ONLY, fingerprint=fingerprint)
    session.execute(row.on_conflict_do_update(index_elements=["id"], set_={"fingerprint": fingerprint}))
