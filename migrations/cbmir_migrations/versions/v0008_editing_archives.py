"""Whether what an archive's rules do not want any more is to be deleted here."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column: nobody has asked for it yet."""
    # plain ALTER TABLE, which SQLite knows too: batch mode would copy the table and forget its AUTOINCREMENT
    op.add_column("archives", sa.Column("drop_unmatched", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    """Drop it; what was not deleted yet stays."""
    op.drop_column("archives", "drop_unmatched")
