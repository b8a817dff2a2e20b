"""The Study Date of each instance."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column, and let every archive be compared as a whole: its list tells the dates of what it holds."""
    # plain ALTER TABLE, which SQLite knows too: batch mode would copy the table and forget its AUTOINCREMENT
    op.add_column("instances", sa.Column("study_date", sa.Date(), nullable=True))
    op.create_index(
        op.f("ix_instances_study_date_study_instance_uid"), "instances", ["study_date", "study_instance_uid"]
    )
    op.execute(sa.update(sa.table("archives", sa.column("sweep_wanted", sa.Boolean()))).values(sweep_wanted=True))


def downgrade() -> None:
    """Drop the column and the dates."""
    op.drop_index(op.f("ix_instances_study_date_study_instance_uid"), table_name="instances")
    op.drop_column("instances", "study_date")
