"""What tells the secret key of an installation from every other: patients are known under it alone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table: the first start under this version fills it."""
    op.create_table(
        "secret_keys",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_secret_keys")),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("secret_keys")
