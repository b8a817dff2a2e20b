"""Every installation has an encoder from the first minute: the one that comes with the product."""

from __future__ import annotations

import hashlib

from cbmir.encoders import shipped
from cbmir.store import encoders
from cbmir.store.session import Database


def provide(database: Database) -> None:
    """Let the encoder that comes with the product answer where there is none at all.

    It is extracted with when somebody asks for features, not before: whoever trains an encoder of their own first
    never pays for it.

    Raises:
        cbmir.errors.NotFound: if the installation lacks its files.
    """
    with database.read() as session:
        if encoders.listing(session):
            return
    described = shipped.description()
    with database.write() as session:
        encoders.add(
            session,
            **described,
            weights_file=shipped.name(),
            weights_sha256=hashlib.sha256(shipped.weights()).hexdigest(),
            kept=False,
        )
