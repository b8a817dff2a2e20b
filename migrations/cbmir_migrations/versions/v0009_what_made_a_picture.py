"""Manufacturer and model of the equipment that made a picture, which may explain what an encoder tells apart."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

COLUMNS = ("manufacturer", "model_name")


def upgrade() -> None:
    """Add the columns: what is ingested again, or comes from its archive again, fills them."""
    # plain ALTER TABLE, which SQLite knows too: batch mode would copy the table and forget its AUTOINCREMENT
    for name in COLUMNS:
        op.add_column("instances", sa.Column(name, sa.String(length=64), nullable=True))


def downgrade() -> None:
    """Drop them."""
    for name in COLUMNS:
        op.drop_column("instances", name)
