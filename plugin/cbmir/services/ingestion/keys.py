"""The installation's secret key and its database belong together: under another key every patient is a stranger."""

from __future__ import annotations

import hashlib
import hmac

from cbmir.errors import BadRequest
from cbmir.settings import Settings
from cbmir.store import secret_keys
from cbmir.store.session import Database

PURPOSE = b"cbmir fingerprint 1"


def fingerprint(secret: str) -> str:
    """64 hexadecimal digits by which a key is known again, and from which it cannot be told: HMAC-SHA256 (RFC 2104)
    of a fixed text under it."""
    return hmac.new(secret.encode(), PURPOSE, hashlib.sha256).hexdigest()


def check(database: Database, settings: Settings) -> None:
    """Refuse a key that is not the one of this database; the first key that comes is its own.

    Raises:
        cbmir.errors.BadRequest: if it is another.
    """
    if _known(database) is None:
        with database.write() as session:
            secret_keys.keep_first(session, fingerprint(settings.resolved_secret_key))
    look(database, settings)


def look(database: Database, settings: Settings) -> bool:
    """As `check`, but where no key is known yet none is kept; gives whether one is known."""
    known = _known(database)
    if known is not None and known != fingerprint(settings.resolved_secret_key):
        raise BadRequest(
            "The secret key is not the one that this database was filled under: each patient would become another.",
            f"{_whereabouts(settings)} If the key is lost, run `cbmir db accept-key`.",
        )
    return known is not None


def accept(database: Database, settings: Settings) -> None:
    """Let the present key be that of this database from now on."""
    with database.write() as session:
        secret_keys.replace(session, fingerprint(settings.resolved_secret_key))


def _known(database: Database) -> str | None:
    with database.read() as session:
        return secret_keys.known(session)


def _whereabouts(settings: Settings) -> str:
    if settings.secret_key:
        return "Set CBMIR_SECRET_KEY to the former one, as on every host."
    return f"Put the former one back into {settings.data.absolute() / 'secret.key'}, or into CBMIR_SECRET_KEY."
