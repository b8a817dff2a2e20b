"""Every installation has an encoder from the first minute: the one that comes with the product.

An installation that uses another, or an older one, takes it in when it is asked to.
"""

from __future__ import annotations

import hashlib

from cbmir.encoders import shipped
from cbmir.store import encoders
from cbmir.store.session import Database


def provide(database: Database) -> None:
    """Let the encoder that comes with the product answer where there is none at all, or only one that came with an
    earlier version and that nobody ever used.

    It is extracted with when somebody asks for features, not before: whoever trains an encoder of their own first
    never pays for it.

    Raises:
        cbmir.errors.NotFound: if the installation lacks its files.
    """
    with database.read() as session:
        known = encoders.listing(session)
        if any(row.kept or row.generation or row.weights_file == shipped.name() for row in known):
            return
    add(database, kept=False)


def add(database: Database, *, kept: bool = True) -> str:
    """Let the installation know the encoder that comes with the product, beside others; one that is known stays.

    Args:
        database: of the installation.
        kept: whether new pictures get features of it.

    Returns:
        Its id.

    Raises:
        cbmir.errors.NotFound: if the installation lacks its files.
    """
    described = shipped.description()
    with database.write() as session:
        row = encoders.add(
            session,
            **described,
            weights_file=shipped.name(),
            weights_sha256=hashlib.sha256(shipped.weights()).hexdigest(),
            kept=kept,
        )
        return row.id
