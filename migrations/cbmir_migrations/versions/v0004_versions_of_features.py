"""Which encoder answers, which features are kept beside its own, and how far apart the gallery's images are."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables; the encoder that answered so far goes on: the newest that has features, else the newest."""
    op.add_column("encoders", sa.Column("kept", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.create_table(
        "activations",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("encoder_id", sa.String(length=64), nullable=False),
        sa.Column("activated_at", sa.DateTime(timezone=True), nullable=False),
        _of_encoder("activations"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_activations")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_activations_encoder_id"), "activations", ["encoder_id"])
    op.create_table(
        "calibrations",
        sa.Column("encoder_id", sa.String(length=64), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("features", sa.Integer(), nullable=False),
        sa.Column("method", sa.String(length=32), nullable=False),
        sa.Column("scores", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        _of_encoder("calibrations"),
        sa.PrimaryKeyConstraint("encoder_id", name=op.f("pk_calibrations")),
    )
    op.execute(
        "INSERT INTO activations (encoder_id, activated_at) SELECT id, CURRENT_TIMESTAMP FROM encoders "
        "ORDER BY CASE WHEN EXISTS (SELECT 1 FROM features WHERE features.encoder_id = encoders.id) "
        "THEN 0 ELSE 1 END, created_at DESC, id LIMIT 1"
    )


def downgrade() -> None:
    """Drop the tables: the newest encoder that has features answers again."""
    op.drop_table("calibrations")
    op.drop_table("activations")
    op.drop_column("encoders", "kept")


def _of_encoder(table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_encoder_id_encoders")
    return sa.ForeignKeyConstraint(["encoder_id"], ["encoders.id"], name=name, ondelete="CASCADE")
