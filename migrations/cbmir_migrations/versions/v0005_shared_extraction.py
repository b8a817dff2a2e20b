"""An extraction that several workers share, and an index of the objects that an archive did not give."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

PUT_OFF = sa.text("retry_at IS NOT NULL")


def upgrade() -> None:
    """Create the table of pieces, and the index."""
    op.create_table(
        "extraction_pieces",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run", sa.String(length=36), nullable=False),
        sa.Column("after", sa.Integer(), nullable=False),
        sa.Column("up_to", sa.Integer(), nullable=False),
        sa.Column("worker", sa.String(length=36), nullable=False),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("extracted", sa.Integer(), nullable=True),
        sa.Column("failures", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run"], ["jobs.id"], name=op.f("fk_extraction_pieces_run_jobs"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_extraction_pieces")),
        sa.UniqueConstraint("run", "after", name=op.f("uq_extraction_pieces_run_after")),
        sqlite_autoincrement=True,
    )
    # objects that an earlier version deleted may still carry the moment of their next attempt
    op.execute("UPDATE archive_objects SET retry_at = NULL WHERE state <> 'pending'")
    op.create_index(
        op.f("ix_archive_objects_archive_id_retry_at"),
        "archive_objects",
        ["archive_id", "retry_at"],
        sqlite_where=PUT_OFF,
        postgresql_where=PUT_OFF,
    )


def downgrade() -> None:
    """Drop both; a shared extraction begins anew."""
    op.drop_index(op.f("ix_archive_objects_archive_id_retry_at"), table_name="archive_objects")
    op.drop_table("extraction_pieces")
