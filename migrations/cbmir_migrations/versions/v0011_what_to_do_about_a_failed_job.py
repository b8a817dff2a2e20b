"""What to do about a job's error, apart from what is wrong."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; of jobs that failed before it stays in the sentence."""
    op.add_column("jobs", sa.Column("error_remedy", sa.Text(), nullable=False, server_default=""))


def downgrade() -> None:
    """Drop it; what failed since says no longer what to do."""
    op.drop_column("jobs", "error_remedy")
