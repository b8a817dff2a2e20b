"""When all objects of an archive's study were last to be fetched."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

INDEX = "ix_archive_studies_archive_id_fetched_at"


def upgrade() -> None:
    """Add the column and its index: of what is there nobody kept it."""
    op.add_column("archive_studies", sa.Column("fetched_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(op.f(INDEX), "archive_studies", ["archive_id", "fetched_at"])


def downgrade() -> None:
    """Drop both."""
    op.drop_index(op.f(INDEX), "archive_studies")
    op.drop_column("archive_studies", "fetched_at")
