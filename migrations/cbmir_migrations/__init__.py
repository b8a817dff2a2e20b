"""The database's schema through time: Alembic revisions, and the two questions that are asked of them."""

from cbmir_migrations.schema import State, state, upgrade

__all__ = ["State", "state", "upgrade"]
