"""What Alembic runs for every command: on the connection handed in, or on the installation's own database."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import Connection

from cbmir.settings import Settings
from cbmir.store.session import Database
from cbmir.store.tables import Base, Moment


def render_item(kind: str, item: Any, _context: AutogenContext) -> str | Literal[False]:
    """Write a column type of ours as what it is in the database: a revision outlives the code of its day."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, Moment) else False


def run(connection: Connection) -> None:
    """Run the command's migrations on an open connection."""
    context.configure(
        connection=connection, target_metadata=Base.metadata, render_as_batch=True, render_item=render_item
    )
    with context.begin_transaction():
        context.run_migrations()


if context.config.attributes.get("connection") is not None:
    run(context.config.attributes["connection"])
else:
    with Database(Settings.from_environment().resolved_database_url).write() as session:
        run(session.connection())
